//! The terminal: lines in, answers out. A line editor on a terminal; on a pipe each line is answered before the next.
//!
//! Blocking reads and writes stay off the async threads, so a terminal that is slow holds nothing else up.

mod filter;
mod fitting;
mod lines;
mod screen;

use std::io::{self, BufReader, IsTerminal, Write};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

pub use filter::ControlFilter;
pub use fitting::{columns_of_stdout, fitted};
pub use lines::{Edited, Line, LineSource, Piped};
pub use screen::Look;

use crate::conversation::driver::Outgoing;
use crate::conversation::{ChatKey, Event, Person};
use lines::{Reader, SavedTerminal};
use screen::Screen;

/// What the line editor asks with.
const PROMPT: &str = "> ";
/// Pieces written in one go at most.
const BATCH: usize = 64;

/// How the person is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// On a terminal: greeted, prompted, asked twice before they leave.
    Interactive,
    /// On a pipe: each line is answered before the next; the end of the input is the end.
    Piped,
}

/// The terminal's end of a conversation.
pub struct Terminal {
    /// The one chat.
    pub chat: ChatKey,
    /// The one person.
    pub person: Person,
    /// To the driver.
    pub events: mpsc::Sender<Event>,
    /// From the driver.
    pub outgoing: mpsc::Receiver<Outgoing>,
}

impl Terminal {
    /// Runs on standard input and output until the person leaves, the input ends or the output closes.
    ///
    /// From here on Ctrl-C is an event of the conversation and no longer ends the process. Interactive only when both
    /// ends are terminals. `NO_COLOR` is the caller's to read: it is given as `look`. On a pipe it goes to the standard
    /// error why something was not answered. Gives how many questions were not.
    ///
    /// # Errors
    /// When reading cannot start, or writing fails otherwise than by a closed output.
    pub async fn run_on_stdio(self, look: Look) -> io::Result<u64> {
        let mut interrupts = signal(SignalKind::interrupt())?;
        let interrupt = async move || interrupts.recv().await.is_some();
        let saved = SavedTerminal::of_stdin();
        let on_terminal = saved.is_some() && io::stdout().is_terminal();
        let result = if on_terminal {
            let source = Edited::new(PROMPT).map_err(io::Error::other)?;
            let screen = Screen::new(io::stdout(), look).with_columns(columns_of_stdout);
            self.run(Manner::Interactive, source, screen, interrupt).await
        } else {
            let source = Piped(BufReader::new(io::stdin()));
            let screen = Screen::new(io::stdout(), Look::Plain).with_aside(io::stderr());
            self.run(Manner::Piped, source, screen, interrupt).await
        };
        drop(saved);
        result
    }

    /// Runs on any lines, any output and any interrupts (`false`: there will be no more).
    ///
    /// # Errors
    /// As [`run_on_stdio`](Terminal::run_on_stdio).
    async fn run(
        self,
        manner: Manner,
        source: impl LineSource,
        screen: Screen<impl Write + Send + 'static>,
        interrupt: impl AsyncFnMut() -> bool,
    ) -> io::Result<u64> {
        match self.converse(manner, Reader::new(source)?, screen, interrupt).await {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0), // nobody reads on: not an error
            result => result,
        }
    }

    async fn converse(
        mut self,
        manner: Manner,
        mut reader: Reader,
        mut screen: Screen<impl Write + Send + 'static>,
        mut interrupt: impl AsyncFnMut() -> bool,
    ) -> io::Result<u64> {
        let mut interruptible = true;
        match manner {
            Manner::Interactive => {
                self.tell(Event::Opened { chat: self.chat.clone(), person: self.person.clone() }).await
            }
            Manner::Piped => reader.ask(),
        }
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            tokio::select! {
                count = self.outgoing.recv_many(&mut batch, BATCH) => {
                    let ended = count == 0 || batch.contains(&Outgoing::Leave);
                    let ready = batch.iter().any(|outgoing| matches!(outgoing, Outgoing::Ready { .. }));
                    screen = show(screen, batch).await?;
                    if ended {
                        let at_prompt = manner == Manner::Interactive && reader.is_asking();
                        if at_prompt {
                            screen.leave_prompt()?;
                        }
                        return Ok(screen.unanswered());
                    }
                    if ready {
                        reader.ask();
                    }
                }
                line = reader.line(), if reader.is_asking() => match line {
                    Line::Text(text) if text.trim().is_empty() => reader.ask(),
                    Line::Text(text) => {
                        let (chat, person) = (self.chat.clone(), self.person.clone());
                        self.tell(Event::said(chat, person, text)).await;
                    }
                    Line::Interrupt => self.interrupted(),
                    Line::End if manner == Manner::Piped => return Ok(screen.unanswered()),
                    Line::End => {
                        self.tell(Event::Closed { chat: self.chat.clone(), person: self.person.clone() }).await;
                    }
                },
                more = interrupt(), if interruptible => {
                    interruptible = more;
                    if more {
                        self.interrupted();
                    }
                }
            }
        }
    }

    /// A driver that is gone shows as the end of what it says.
    async fn tell(&self, event: Event) {
        let _gone = self.events.send(event).await;
    }

    /// Does not wait: when so much is on its way that there is no room, one Ctrl-C more or less changes nothing.
    fn interrupted(&self) {
        let _full = self.events.try_send(Event::Interrupt { chat: self.chat.clone(), person: self.person.clone() });
    }
}

/// Writes on a thread that may block.
async fn show<W: Write + Send + 'static>(mut screen: Screen<W>, batch: Vec<Outgoing>) -> io::Result<Screen<W>> {
    let writing = tokio::task::spawn_blocking(move || {
        batch.iter().try_for_each(|outgoing| screen.show(outgoing))?;
        screen.flush()?;
        Ok(screen)
    });
    writing.await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests;
