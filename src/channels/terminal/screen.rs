//! Writes what goes out to a terminal or a pipe: answers as they stream, then their footer, all of it filtered.

use std::io::{self, Write};

use super::filter::ControlFilter;
use super::fitting::fitted;
use crate::conversation::PrivateText;
use crate::conversation::driver::Outgoing;

/// How the footer is set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// No escape sequences at all.
    Plain,
    /// The footer is dim.
    Dim,
}

/// A place to write, and where on the line it stands.
pub(super) struct Screen<W> {
    out: W,
    /// Where it goes why something was not answered; `None`: where the answers go.
    aside: Option<Box<dyn Write + Send>>,
    unanswered: u64,
    look: Look,
    /// How many columns there are now; `None`: any number.
    columns: fn() -> Option<usize>,
    filter: ControlFilter,
    mid_line: bool,
}

impl<W: Write> Screen<W> {
    pub(super) fn new(out: W, look: Look) -> Screen<W> {
        let (columns, filter) = ((|| None) as fn() -> _, ControlFilter::default());
        Screen { out, aside: None, unanswered: 0, look, columns, filter, mid_line: false }
    }

    /// The same, so wide: texts are broken between words. Answers, which come in pieces, are the terminal's to break.
    pub(super) fn with_columns(self, columns: fn() -> Option<usize>) -> Screen<W> {
        Screen { columns, ..self }
    }

    /// The same, with another place for why something was not answered.
    pub(super) fn with_aside(self, aside: impl Write + Send + 'static) -> Screen<W> {
        Screen { aside: Some(Box::new(aside)), ..self }
    }

    /// Of how many questions it was said aside that they were not answered, or not wholly.
    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// Writes one thing; the rest of the channel's work is the caller's.
    pub(super) fn show(&mut self, outgoing: &Outgoing) -> io::Result<()> {
        match outgoing {
            Outgoing::Delta { text, .. } => self.write(text),
            Outgoing::Text { text, refuses: true, .. } if self.aside.is_some() => {
                self.say_aside([text]);
                Ok(())
            }
            Outgoing::Text { text, .. } => self.whole(text, Look::Plain),
            Outgoing::AnswerWaits { text, .. } => self.whole(text, self.look),
            Outgoing::AnswerEnd { footer, note, answered, .. } => {
                self.filter.reset();
                self.end_line()?;
                if !*answered && self.aside.is_some() {
                    self.say_aside(note.iter().chain(footer));
                    return Ok(());
                }
                if let Some(note) = note {
                    self.whole(note, Look::Plain)?;
                }
                if let Some(footer) = footer {
                    self.whole(footer, self.look)?;
                }
                Ok(())
            }
            Outgoing::Acknowledge { .. } | Outgoing::AnswerStart { .. } | Outgoing::Ready { .. } | Outgoing::Leave => {
                Ok(())
            }
        }
    }

    /// Says why a question was not answered where that goes.
    fn say_aside<'a>(&mut self, texts: impl IntoIterator<Item = &'a PrivateText>) {
        let Some(aside) = &mut self.aside else { return };
        self.unanswered += 1;
        for text in texts {
            // That nobody takes it is no reason not to go on.
            let _ = writeln!(aside, "tallybot: {}", ControlFilter::default().push(text.trim_end()));
        }
    }

    /// Ends the line a person was typing in when the program was told to stop.
    pub(super) fn leave_prompt(&mut self) -> io::Result<()> {
        writeln!(self.out)?;
        self.flush()
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A text on lines of its own, also between the pieces of an answer.
    fn whole(&mut self, text: &str, look: Look) -> io::Result<()> {
        self.end_line()?;
        let shown = ControlFilter::default().push(text.trim_end());
        let shown = match (self.columns)() {
            Some(columns) => fitted(&shown, columns),
            None => shown,
        };
        match look {
            Look::Plain => writeln!(self.out, "{shown}"),
            Look::Dim => writeln!(self.out, "\u{1b}[2m{shown}\u{1b}[0m"),
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        let shown = self.filter.push(text);
        if let Some(last) = shown.chars().last() {
            self.mid_line = last != '\n';
        }
        self.out.write_all(shown.as_bytes())
    }

    fn end_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.mid_line) { writeln!(self.out) } else { Ok(()) }
    }
}
