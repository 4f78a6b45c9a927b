//! Where lines come from: an editor on a terminal, or a pipe. Reading blocks, so it has a thread of its own.

use std::io::BufRead;
use std::thread;

use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use tokio::sync::mpsc;

/// The longest line that is read, in bytes; the rest of a longer one is dropped.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Lines the editor remembers, in memory only: what was typed is a prompt.
const REMEMBERED_LINES: usize = 200;

/// What came from the person.
#[derive(Clone, PartialEq, Eq)]
pub enum Line {
    /// A line, without its end.
    Text(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-D, or the end of the input.
    End,
}

/// Gives lines, one when asked. Blocks.
pub trait LineSource: Send + 'static {
    /// The next line.
    fn next_line(&mut self) -> Line;
}

/// Lines of a pipe or a file.
#[derive(Debug)]
pub struct Piped<R>(pub R);

impl<R: BufRead + Send + 'static> LineSource for Piped<R> {
    fn next_line(&mut self) -> Line {
        let mut line = Vec::new();
        loop {
            let Ok(bytes) = self.0.fill_buf() else { return Line::End };
            if bytes.is_empty() {
                return if line.is_empty() { Line::End } else { text(&line) };
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let piece = &bytes[..end.unwrap_or(bytes.len())];
            line.extend_from_slice(&piece[..piece.len().min(MAX_LINE_BYTES - line.len())]);
            let used = end.map_or(bytes.len(), |end| end + 1);
            self.0.consume(used);
            if end.is_some() {
                return text(&line);
            }
        }
    }
}

fn text(line: &[u8]) -> Line {
    Line::Text(String::from_utf8_lossy(line).trim_end_matches('\r').to_owned())
}

/// A line editor on the terminal. The terminal is put back as it was found when this is dropped.
pub struct Edited {
    editor: rustyline::Editor<(), MemHistory>,
    prompt: String,
}

impl Edited {
    /// An editor that asks with `prompt`.
    ///
    /// # Errors
    /// When there is no terminal to edit on.
    pub fn new(prompt: &str) -> Result<Edited, ReadlineError> {
        let mut editor = rustyline::Editor::with_history(rustyline::Config::default(), MemHistory::new())?;
        editor.set_auto_add_history(true);
        editor.set_max_history_size(REMEMBERED_LINES)?;
        Ok(Edited { editor, prompt: prompt.to_owned() })
    }
}

impl LineSource for Edited {
    fn next_line(&mut self) -> Line {
        match self.editor.readline(&self.prompt) {
            Ok(line) => Line::Text(line),
            Err(ReadlineError::Interrupted) => Line::Interrupt,
            Err(_) => Line::End,
        }
    }
}

/// Asks a source on a thread of its own. The thread is not waited for: it may be reading when the program ends.
pub(super) struct Reader {
    ask: std::sync::mpsc::SyncSender<()>,
    lines: mpsc::Receiver<Line>,
    asking: bool,
}

impl Reader {
    pub(super) fn new(mut source: impl LineSource) -> std::io::Result<Reader> {
        let (ask, asked) = std::sync::mpsc::sync_channel(1);
        let (send, lines) = mpsc::channel(1);
        thread::Builder::new()
            .name("terminal input".into())
            .spawn(move || while asked.recv().is_ok() && send.blocking_send(source.next_line()).is_ok() {})?;
        Ok(Reader { ask, lines, asking: false })
    }

    /// Asks for a line, unless one is being asked for.
    pub(super) fn ask(&mut self) {
        if !std::mem::replace(&mut self.asking, true) {
            // A thread that is gone shows as the end of the input below.
            let _gone = self.ask.try_send(());
        }
    }

    /// The line asked for. Nothing is lost if this is dropped while it waits.
    pub(super) async fn line(&mut self) -> Line {
        let line = self.lines.recv().await.unwrap_or(Line::End);
        self.asking = false;
        line
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking
    }
}

/// Puts the terminal back as it was found, even if the program ends while a line is being edited.
#[derive(Debug)]
pub(super) struct SavedTerminal(rustix::termios::Termios);

impl SavedTerminal {
    /// `None` when standard input is no terminal.
    pub(super) fn of_stdin() -> Option<SavedTerminal> {
        rustix::termios::tcgetattr(std::io::stdin()).ok().map(SavedTerminal)
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        // Nothing is to be done about a terminal that is gone.
        let _gone = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.0);
    }
}
