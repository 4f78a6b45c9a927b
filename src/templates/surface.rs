//! What a text is read on.

use std::fmt;

use serde::Serialize;

/// Where a text is shown, which decides the form its markup takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Surface {
    /// A terminal, a file, a body of plain text.
    #[default]
    Plain,
    /// Telegram's HTML: all text escaped, every tag closed.
    Telegram,
    /// WhatsApp's marks: `*bold*`, `_italic_`, three backticks for columns.
    WhatsApp,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Surface; 3] = [Surface::Plain, Surface::Telegram, Surface::WhatsApp];

    /// What stands in the file name of a text that has a form of its own here: `stats.telegram.j2`.
    pub(super) fn infix(self) -> Option<&'static str> {
        match self {
            Surface::Plain => None,
            Surface::Telegram => Some("telegram"),
            Surface::WhatsApp => Some("whatsapp"),
        }
    }

    /// The longest line of running text, in characters. A phone breaks lines where they end, so there is no limit there.
    pub(super) fn line_width(self) -> usize {
        match self {
            Surface::Plain => super::LINE_WIDTH,
            Surface::Telegram | Surface::WhatsApp => usize::MAX,
        }
    }

    /// The columns of tables: a phone breaks lines of more than about 34 characters.
    pub(super) fn columns(self) -> Columns {
        match self {
            Surface::Plain => Columns { place: 8, tokens: 13, r#type: 18, count: 9, share: 7 },
            Surface::Telegram | Surface::WhatsApp => Columns { place: 6, tokens: 12, r#type: 16, count: 7, share: 7 },
        }
    }
}

/// The widths of columns, in characters.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Columns {
    /// The name of a place.
    pub place: usize,
    /// A count of tokens.
    pub tokens: usize,
    /// The name of a request type.
    pub r#type: usize,
    /// A count of requests.
    pub count: usize,
    /// A share.
    pub share: usize,
}

impl fmt::Display for Surface {
    /// `plain`, `telegram`, `whatsapp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.infix().unwrap_or("plain"))
    }
}
