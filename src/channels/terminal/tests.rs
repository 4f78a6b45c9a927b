//! The terminal on buffers: scripted lines and interrupts, a real driver, an echoing assistant.

use std::collections::VecDeque;
use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::*;
use crate::conversation::driver::{
    Assistant, Books, DeltaSink, Driver, Grace, ManageRequest, Parts, Renderer, StatsRequest,
};
use crate::conversation::{
    AnswerOutcome, BotNames, Bounds, CancelToken, Conversation, Job, Key, Message, ModelChoice, ModelList, Origin,
    Place, ReceiptView, Settings,
};
use crate::templates::{Lang, Surface};
use crate::usage::{Clock, ErrorKind, Now, Tick, Timestamp};

struct Echo;

impl Assistant for Echo {
    async fn ask(&self, job: Job, sink: DeltaSink, cancel: CancelToken) -> AnswerOutcome {
        let question = job.turns.last().expect("a question").text.clone();
        if &*question == "wait" {
            sink.push("waiting");
            return AnswerOutcome::failed(cancel.cancelled().await.kind());
        }
        let text = format!("you said {} \u{1b}[31m{}\u{1b}[0m", job.turns.len(), &*question);
        for piece in text.chars() {
            sink.push(piece.encode_utf8(&mut [0; 4]));
        }
        let receipt = ReceiptView {
            choice: job.choice,
            prompt_tokens: None,
            cached_tokens: None,
            completion_tokens: None,
            total_tokens: None,
            estimated: false,
            cost_usd: None,
            latency_ms: 1,
        };
        AnswerOutcome { text: text.into(), receipt: Some(receipt), instead: None, result: Ok(()) }
    }
}

impl Books for Echo {
    async fn stats_text(&self, _: StatsRequest) -> String {
        "the stats\n".into()
    }
    async fn reset(&self, _: Person) -> Result<Timestamp, ErrorKind> {
        Err(ErrorKind::Other)
    }
    async fn undo_reset(&self) -> Result<Option<Timestamp>, ErrorKind> {
        Ok(None)
    }
    async fn manage(&self, _: ManageRequest) -> Message {
        Message::AdminOnly
    }
    async fn keep_lang(&self, _: ChatKey, _: Lang) {}
    async fn models(&self) -> ModelList {
        ModelList::default()
    }
}

impl Renderer for Echo {
    fn render(&self, _: Lang, message: &Message) -> String {
        format!("<{}>", message.template())
    }
    fn render_plain(&self, lang: Lang, message: &Message) -> String {
        self.render(lang, message)
    }
    fn label(&self, _: Lang, key: &Key) -> String {
        key.name.to_owned()
    }
    fn surface(&self) -> Surface {
        Surface::Plain
    }
}

impl Clock for Echo {
    fn now(&self) -> Now {
        Now { at: Timestamp::new(1_800_000_000_000_000, 0), tick: Tick(0) }
    }
}

/// What was written, and whether the other end is closed.
#[derive(Clone, Default)]
struct Paper {
    written: Arc<Mutex<Vec<u8>>>,
    closed: bool,
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.written.lock().expect("not poisoned").clone()).expect("text")
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.written.lock().expect("not poisoned").write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Typed(VecDeque<Line>);

impl LineSource for Typed {
    fn next_line(&mut self) -> Line {
        self.0.pop_front().unwrap_or(Line::End)
    }
}

/// Runs a whole terminal with a driver and gives its result; `interrupt` is heard once `paper` shows its text.
async fn run(
    manner: Manner,
    source: impl LineSource,
    paper: Paper,
    look: Look,
    interrupt_at: &[&str],
) -> io::Result<u64> {
    let settings = Settings {
        names: BotNames { name: "bot".into(), handles: Vec::new() },
        system: None,
        choice: ModelChoice { provider: "p".into(), model: "m".into(), local: false, demo: false },
        footer: true,
        lang: Lang::En,
        place: Place::Console,
        bounds: Bounds::default(),
    };
    let (echo, slots) = (Arc::new(Echo), Arc::new(Semaphore::new(4)));
    let parts = Parts {
        assistant: Arc::clone(&echo),
        books: Arc::clone(&echo),
        renderer: echo,
        slots,
        grace: Grace::default(),
    };
    let (events, intake) = mpsc::channel(8);
    let (send, outgoing) = mpsc::channel(8);
    let driver = Driver::new(Conversation::new(settings), parts, Arc::new(Echo), send);
    let mut tasks = JoinSet::new();
    tasks.spawn(driver.run(intake, CancelToken::new()));
    let chat = ChatKey { channel: "terminal", id: "1".into() };
    let terminal = Terminal { chat, person: Person::new("1", true), events, outgoing };
    let mut at: VecDeque<String> = interrupt_at.iter().map(|text| (*text).to_owned()).collect();
    let watched = paper.clone();
    let interrupt = async || {
        let Some(text) = at.front() else { return false };
        while !watched.text().contains(text) {
            tokio::task::yield_now().await;
        }
        at.pop_front();
        true
    };
    let result = terminal.run(manner, source, Screen::new(paper, look), interrupt).await;
    while let Some(ended) = tasks.join_next().await {
        ended.expect("the driver does not panic");
    }
    result
}

fn piped(text: &str) -> Piped<Cursor<Vec<u8>>> {
    Piped(Cursor::new(text.as_bytes().to_vec()))
}

fn typed(lines: &[&str]) -> Typed {
    Typed(lines.iter().map(|line| Line::Text((*line).to_owned())).collect())
}

#[tokio::test]
async fn on_a_pipe_each_line_is_answered_before_the_next() {
    let paper = Paper::default();
    let source = piped("hello\n\n/stats\r\n/stats@otherbot\nbye");
    run(Manner::Piped, source, paper.clone(), Look::Plain, &[]).await.expect("runs");
    assert_eq!(paper.text(), "you said 1 hello\n<usage_footer>\nthe stats\nyou said 3 bye\n<usage_footer>\n");
}

#[tokio::test]
async fn quit_leaves_what_follows_unread() {
    let paper = Paper::default();
    run(Manner::Piped, piped("/quit\nhello\n"), paper.clone(), Look::Plain, &[]).await.expect("runs");
    assert_eq!(paper.text(), "<goodbye>\n");
}

#[tokio::test]
async fn a_closed_output_is_no_error() {
    let paper = Paper { closed: true, ..Paper::default() };
    run(Manner::Piped, piped("hello\nhello\n"), paper, Look::Plain, &[]).await.expect("no error");
}

#[tokio::test]
async fn a_terminal_greets_dims_the_footer_and_says_goodbye() {
    let paper = Paper::default();
    run(Manner::Interactive, typed(&["hello"]), paper.clone(), Look::Dim, &[]).await.expect("runs");
    assert_eq!(paper.text(), "<welcome>\nyou said 1 hello\n\u{1b}[2m<usage_footer>\u{1b}[0m\n<goodbye>\n");
}

#[tokio::test]
async fn ctrl_c_stops_the_answer_and_a_second_leaves() {
    let paper = Paper::default();
    let source = Typed([Line::Text("wait".into()), Line::Interrupt].into());
    run(Manner::Interactive, source, paper.clone(), Look::Plain, &["waiting"]).await.expect("runs");
    assert_eq!(paper.text(), "<welcome>\nwaiting\n<cancelled>\n<goodbye>\n");
}

#[tokio::test]
async fn ctrl_c_at_the_prompt_says_how_to_leave_first() {
    let paper = Paper::default();
    let source = Typed([Line::Interrupt, Line::Text("/cost".into()), Line::Interrupt, Line::Interrupt].into());
    run(Manner::Interactive, source, paper.clone(), Look::Plain, &[]).await.expect("runs");
    assert_eq!(paper.text(), "<welcome>\n<interrupted_hint>\n<cost>\n<interrupted_hint>\n<goodbye>\n");
}

/// A person who does not type.
struct Silent;

impl LineSource for Silent {
    fn next_line(&mut self) -> Line {
        loop {
            std::thread::park();
        }
    }
}

#[tokio::test]
async fn a_driver_that_ends_takes_the_terminal_with_it_even_at_the_prompt() {
    let paper = Paper::default();
    let chat = ChatKey { channel: "terminal", id: "1".into() };
    let (events, _intake) = mpsc::channel(8);
    let (send, outgoing) = mpsc::channel(8);
    let terminal = Terminal { chat: chat.clone(), person: Person::new("1", true), events, outgoing };
    let driver = async {
        send.send(Outgoing::Ready { chat: chat.clone() }).await.expect("the terminal runs");
        send.send(Outgoing::Text {
            chat,
            text: "a notice".into(),
            keyboard: Vec::new(),
            replace: None,
            refuses: false,
            origin: Origin::default(),
        })
        .await
        .expect("the terminal runs");
        drop(send);
    };
    let ended = terminal.run(Manner::Interactive, Silent, Screen::new(paper.clone(), Look::Plain), async || false);
    let (ended, ()) = tokio::join!(ended, driver);
    ended.expect("runs");
    assert_eq!(paper.text(), "a notice\n\n");
}

#[test]
fn a_piped_line_is_bounded_and_need_not_end_or_be_text() {
    let long = "x".repeat((1 << 20) + 5);
    let mut source = piped(&format!("{long}\nnext\r\nlast"));
    let lengths: Vec<usize> = std::iter::from_fn(|| match source.next_line() {
        Line::Text(line) => Some(line.len()),
        _ => None,
    })
    .collect();
    assert_eq!(lengths, [1 << 20, 4, 4]);
    let mut source = Piped(Cursor::new(vec![0xff, b'a', b'\n']));
    assert!(source.next_line() == Line::Text("\u{fffd}a".into()));
}
