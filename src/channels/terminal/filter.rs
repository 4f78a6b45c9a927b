//! Takes out of a stream of text whatever could steer a terminal: control characters, escape sequences, and the bidi
//! controls that make text read differently from what it is. Holds no I/O.

/// An incremental filter: cutting the text into other pieces gives the same result.
#[derive(Clone, Debug, Default)]
pub struct ControlFilter {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate: one final character is still to come.
    Intermediate,
    /// After ESC `[`, until a final character.
    Sequence,
    /// Within an operating system command or another string: until BEL, ST, or the end of the line.
    ToTerminal { left: u16 },
    /// After an ESC within a string.
    StringEscape,
}

/// A string to the terminal that does not end by then was none: what follows is text.
const MAX_STRING_CHARS: u16 = 512;

impl ControlFilter {
    /// What of `text` may be shown.
    pub fn push(&mut self, text: &str) -> String {
        text.chars().filter(|c| self.shows(*c)).collect()
    }

    /// Forgets an unfinished sequence: the next text is another one.
    pub fn reset(&mut self) {
        self.state = State::Text;
    }

    fn shows(&mut self, c: char) -> bool {
        let (state, shown) = match self.state {
            State::Text => plain(c),
            State::Escape => match c {
                '[' => (State::Sequence, false),
                ']' | 'P' | 'X' | '^' | '_' => (State::ToTerminal { left: MAX_STRING_CHARS }, false),
                ' '..='/' => (State::Intermediate, false),
                '0'..='~' => (State::Text, false),
                _ => plain(c),
            },
            State::Intermediate => match c {
                ' '..='/' => (State::Intermediate, false),
                '0'..='~' => (State::Text, false),
                _ => plain(c),
            },
            State::Sequence => match c {
                ' '..='?' => (State::Sequence, false),
                '@'..='~' => (State::Text, false),
                _ => plain(c),
            },
            State::ToTerminal { left } => match c {
                '\u{7}' | '\u{9c}' => (State::Text, false),
                '\u{1b}' => (State::StringEscape, false),
                '\n' => (State::Text, true),
                _ if left == 0 => plain(c),
                _ => (State::ToTerminal { left: left - 1 }, false),
            },
            State::StringEscape => match c {
                '\\' => (State::Text, false),
                _ => {
                    self.state = State::Escape;
                    return self.shows(c);
                }
            },
        };
        self.state = state;
        shown
    }
}

fn plain(c: char) -> (State, bool) {
    match c {
        '\n' | '\t' => (State::Text, true),
        '\u{1b}' => (State::Escape, false),
        '\u{9b}' => (State::Sequence, false),
        '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => (State::ToTerminal { left: MAX_STRING_CHARS }, false),
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => (State::Text, false),
        _ => (State::Text, !c.is_control()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        ControlFilter::default().push(text)
    }

    #[test]
    fn sequences_go_and_text_stays() {
        for (text, expected) in [
            ("plain ñ 漢 🟢\n\tx", "plain ñ 漢 🟢\n\tx"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9b}2Jclear", "clear"),
            ("\u{9d}52;c;aGk=\u{9c}clip", "clip"),
            ("a\r\nb\rc\u{8}\u{7f}", "a\nbc"),
            ("\u{1b}(Bcharset", "charset"),
            ("\u{1b}cfull reset", "full reset"),
            ("abc\u{202e}fed\u{2066}x", "abcfedx"),
            ("\u{1b}]never ends\nnext line", "\nnext line"),
            ("\u{1b}[12é", "é"),
            ("\u{1b}\u{1b}[1mx", "x"),
            ("\u{1b}]a\u{1b}[31mb", "b"),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
        let endless = format!("\u{1b}]{}tail", "x".repeat(usize::from(MAX_STRING_CHARS)));
        assert_eq!(shown(&endless), "tail");
    }

    fn hostile() -> impl Strategy<Value = Vec<char>> {
        let steering = prop::sample::select(
            "\u{1b}[];:?0m\\\u{7}\n\t\r\u{9b}\u{9c}\u{9d}\u{90}P_^X(\u{202e}\u{2067}\u{7f}aé漢"
                .chars()
                .collect::<Vec<_>>(),
        );
        prop::collection::vec(prop_oneof![4 => steering, 1 => any::<char>()], 0..60)
    }

    proptest! {
        #[test]
        fn cut_anywhere_it_is_the_same_and_never_steers(chars in hostile(), cuts in prop::collection::vec(any::<bool>(), 60)) {
            let whole = shown(&chars.iter().collect::<String>());
            let (mut filter, mut pieces, mut piece) = (ControlFilter::default(), String::new(), String::new());
            for (c, cut) in chars.iter().zip(&cuts) {
                piece.push(*c);
                if *cut {
                    pieces += &filter.push(&std::mem::take(&mut piece));
                }
            }
            pieces += &filter.push(&piece);
            prop_assert_eq!(&whole, &pieces);
            prop_assert!(!whole.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            let bidi = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            prop_assert!(!whole.chars().any(bidi));
        }
    }
}
