//! The driver with a scripted assistant: no clock, no network, no sleeps.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::conversation::{
    BotNames, Bounds, ModelChoice, ModelList, Origin, Person, Place, Problem, Request, Settings, Ticket,
};
use crate::templates::Surface;
use crate::usage::{Now, Tick, Timestamp};

struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        Now { at: Timestamp::new(1_800_000_000_000_000, 0), tick: Tick(0) }
    }
}

/// Does as the question says: `wait` until cancelled, `deaf` to cancelling, `panic`, or streams the words.
#[derive(Default)]
struct Scripted {
    running: AtomicUsize,
    most: AtomicUsize,
    recorded: Mutex<Vec<String>>,
    turn: tokio::sync::Notify,
}

/// Records when it is dropped, as a permit does.
struct Record<'a>(&'a Scripted, &'static str);

impl Drop for Record<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.recorded.lock().expect("not poisoned").push(self.1.to_owned());
    }
}

impl Assistant for Scripted {
    async fn ask(&self, job: Job, sink: DeltaSink, cancel: CancelToken) -> AnswerOutcome {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let mut record = Record(self, "dropped");
        let question = job.turns.last().expect("a question").text.clone();
        match &*question {
            "wait" => {
                sink.push("so far");
                let reason = cancel.cancelled().await;
                record.1 = match reason {
                    CancelReason::Person => "cancelled",
                    CancelReason::Gone => "gone",
                    CancelReason::Shutdown => "shutdown",
                };
                AnswerOutcome { text: "so far".into(), ..AnswerOutcome::failed(reason.kind()) }
            }
            "deaf" => std::future::pending().await,
            "line" => {
                sink.waits(&Message::Waiting { position: 3, next_at: Some(Still.now().at) });
                let reason = cancel.cancelled().await;
                record.1 = "left";
                AnswerOutcome::failed(reason.kind())
            }
            "turn" => {
                sink.waits(&Message::Waiting { position: 1, next_at: Some(Still.now().at) });
                self.turn.notified().await;
                assert!(sink.goes_on().await);
                sink.push("at last");
                AnswerOutcome { text: "at last".into(), receipt: None, instead: None, result: Ok(()) }
            }
            "panic" => panic!("as the script says"),
            words => {
                for word in words.split_inclusive(' ') {
                    sink.push(word);
                    tokio::task::yield_now().await;
                }
                record.1 = "ok";
                AnswerOutcome { text: question.clone(), receipt: None, instead: None, result: Ok(()) }
            }
        }
    }
}

struct Screen;

impl Books for Screen {
    async fn stats_text(&self, request: StatsRequest) -> String {
        format!("stats {}", request.period.as_str())
    }
    async fn reset(&self, _: Person) -> Result<Timestamp, ErrorKind> {
        Ok(Still.now().at)
    }
    async fn undo_reset(&self) -> Result<Option<Timestamp>, ErrorKind> {
        Ok(None)
    }
    async fn manage(&self, request: ManageRequest) -> Message {
        assert_eq!(request.request, Request::Health);
        Message::Stopped
    }
    async fn keep_lang(&self, _: ChatKey, _: Lang) {}
    async fn models(&self) -> ModelList {
        panic!("no list today")
    }
}

struct Keys;

impl Renderer for Keys {
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

struct Bench {
    assistant: Arc<Scripted>,
    events: mpsc::Sender<Event>,
    outgoing: mpsc::Receiver<Outgoing>,
    stop: CancelToken,
    driver: JoinSet<()>,
}

fn bench(slots: usize, room: usize, grace: Grace) -> Bench {
    let settings = Settings {
        names: BotNames { name: "bot".into(), handles: Vec::new() },
        system: None,
        choice: ModelChoice { provider: "p".into(), model: "m".into(), local: false, demo: false },
        footer: false,
        lang: Lang::En,
        place: Place::Console,
        bounds: Bounds::default(),
    };
    let assistant = Arc::new(Scripted::default());
    let parts = Parts {
        assistant: Arc::clone(&assistant),
        books: Arc::new(Screen),
        renderer: Arc::new(Keys),
        slots: Arc::new(Semaphore::new(slots)),
        grace,
    };
    let (events, intake) = mpsc::channel(8);
    let (send, outgoing) = mpsc::channel(room);
    let stop = CancelToken::new();
    let driver = Driver::new(Conversation::new(settings), parts, Arc::new(Still), send);
    let mut tasks = JoinSet::new();
    tasks.spawn(driver.run(intake, stop.clone()));
    Bench { assistant, events, outgoing, stop, driver: tasks }
}

/// Patient with whoever answers, impatient with whoever does not.
const GRACE: Grace = Grace { finish: Duration::from_secs(60), cancel: Duration::from_secs(60) };
const NONE: Grace = Grace { finish: Duration::ZERO, cancel: Duration::ZERO };

fn chat(id: &str) -> ChatKey {
    ChatKey { channel: "terminal", id: id.into() }
}

impl Bench {
    async fn says(&self, id: &str, text: &str) {
        let person = Person::new("1", true);
        let event = Event::said(chat(id), person, text);
        self.events.send(event).await.expect("the driver runs");
    }

    /// What goes out, in short, until the chat is ready.
    async fn until_ready(&mut self) -> String {
        let mut shown = String::new();
        loop {
            match self.outgoing.recv().await.expect("the driver runs") {
                Outgoing::Text { text, .. } | Outgoing::Delta { text, .. } => shown += &text,
                Outgoing::AnswerEnd { note, .. } => shown += &format!("[end{}]", note.as_deref().unwrap_or("")),
                Outgoing::Ready { .. } => return shown,
                Outgoing::Acknowledge { text, .. } => shown += &format!("[seen {}]", text.as_deref().unwrap_or("")),
                Outgoing::AnswerStart { .. } => {}
                Outgoing::AnswerWaits { text, .. } => shown += &text,
                Outgoing::Leave => shown += "[leave]",
            }
        }
    }

    async fn ended(mut self) -> Vec<String> {
        while let Some(result) = self.driver.join_next().await {
            result.expect("the driver does not panic");
        }
        self.assistant.recorded.lock().expect("not poisoned").clone()
    }
}

#[tokio::test]
async fn an_answer_streams_and_ends_and_then_the_books_are_shown() {
    let mut bench = bench(4, 16, GRACE);
    bench.says("1", "one two three").await;
    assert_eq!(bench.until_ready().await, "one two three[end]");
    bench.says("1", "/stats hoy").await;
    assert_eq!(bench.until_ready().await, "stats today");
    bench.says("1", "/reset_stats").await;
    assert_eq!(bench.until_ready().await, "<reset_confirm>");
    bench.says("1", "/reset_stats confirm").await;
    assert_eq!(bench.until_ready().await, "<reset_done>");
    bench.says("1", "/quit").await;
    assert_eq!(bench.until_ready().await, "<goodbye>[leave]");
}

#[tokio::test]
async fn stats_and_cancel_are_served_while_an_answer_runs() {
    let mut bench = bench(4, 16, GRACE);
    bench.says("1", "wait").await;
    started(&bench).await;
    bench.says("1", "/stats").await;
    bench.says("1", "/cancel").await;
    let shown = bench.until_ready().await;
    assert!(shown.contains("stats all") && shown.contains("so far") && shown.contains("[end<cancelled>]"), "{shown}");
}

#[tokio::test]
async fn a_panic_ends_the_answer_and_nothing_else() {
    let mut bench = bench(1, 16, GRACE);
    bench.says("1", "panic").await;
    assert_eq!(bench.until_ready().await, "[end<error/panic>]");
    bench.says("1", "/model").await;
    assert_eq!(bench.until_ready().await, "<error/panic>");
    bench.says("1", "still here").await;
    assert_eq!(bench.until_ready().await, "still here[end]");
}

#[tokio::test]
async fn no_more_generations_at_once_than_there_are_slots_and_who_waits_can_be_cancelled() {
    let mut bench = bench(2, 64, GRACE);
    for id in ["1", "2", "3", "4"] {
        bench.says(id, "wait").await;
    }
    for id in ["4", "3", "2", "1"] {
        bench.says(id, "/cancel").await;
    }
    for _ in 0..4 {
        assert!(bench.until_ready().await.contains("[end<cancelled>]"));
    }
    assert!(bench.assistant.most.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn who_waits_in_line_is_told_and_takes_no_seat_until_its_turn() {
    let mut bench = bench(1, 64, GRACE);
    bench.says("1", "turn").await;
    started(&bench).await;
    bench.says("2", "one two").await;
    assert_eq!(bench.until_ready().await, "<waiting>one two[end]", "the only seat was free");
    bench.says("2", "wait").await;
    while bench.assistant.running.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    bench.assistant.turn.notify_one();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.assistant.running.load(Ordering::SeqCst), 2, "its turn has come, and the seat is taken");
    bench.says("2", "/cancel").await;
    let shown = bench.until_ready().await + &bench.until_ready().await;
    assert!(shown.contains("[end<cancelled>]") && shown.contains("at last") && shown.ends_with("[end]"), "{shown}");
}

#[tokio::test]
async fn who_waits_in_line_at_a_shutdown_is_told_at_once() {
    let mut bench = bench(1, 64, GRACE);
    bench.says("1", "line").await;
    started(&bench).await;
    bench.stop.cancel(CancelReason::Shutdown);
    let mut shown = Vec::new();
    while let Some(outgoing) = bench.outgoing.recv().await {
        if let Outgoing::AnswerEnd { note, .. } = outgoing {
            shown.push(note.expect("a note").to_string());
        }
    }
    assert_eq!(shown, ["<error/shutdown>"]);
    assert_eq!(bench.ended().await, ["left"]);
}

#[tokio::test]
async fn a_channel_that_reads_nothing_loses_no_record() {
    let bench = bench(8, 1, GRACE);
    for id in ["1", "2", "3"] {
        bench.says(id, "many little words to stream").await;
    }
    while bench.assistant.recorded.lock().expect("not poisoned").len() < 3 {
        tokio::task::yield_now().await;
    }
    let Bench { assistant, events, outgoing, mut driver, .. } = bench;
    drop((events, outgoing));
    driver.join_next().await.expect("one driver").expect("the driver does not panic");
    assert_eq!(*assistant.recorded.lock().expect("not poisoned"), ["ok", "ok", "ok"]);
}

#[tokio::test]
async fn what_a_slow_channel_could_not_take_comes_with_the_next_piece() {
    let mut bench = bench(8, 1, GRACE);
    let words: String = (0..500).map(|n| format!("word{n} ")).collect();
    bench.says("1", words.trim()).await;
    while bench.assistant.recorded.lock().expect("not poisoned").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.until_ready().await, format!("{}[end]", words.trim()));
}

#[tokio::test]
async fn a_channel_that_goes_away_cancels_and_records() {
    let bench = bench(4, 16, GRACE);
    bench.says("1", "wait").await;
    let Bench { assistant, events, outgoing, mut driver, .. } = bench;
    while assistant.running.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop((events, outgoing));
    driver.join_next().await.expect("one driver").expect("the driver does not panic");
    assert_eq!(*assistant.recorded.lock().expect("not poisoned"), ["gone"]);
}

#[tokio::test]
async fn a_shutdown_lets_answers_finish_then_cancels_then_drops() {
    let finishing = bench(4, 16, GRACE);
    finishing.says("1", "a few words").await;
    started(&finishing).await;
    finishing.stop.cancel(CancelReason::Shutdown);
    assert_eq!(finishing.ended().await, ["ok"]);

    let cancelled = bench(4, 16, Grace { finish: Duration::ZERO, ..GRACE });
    cancelled.says("1", "wait").await;
    started(&cancelled).await;
    cancelled.stop.cancel(CancelReason::Shutdown);
    assert_eq!(cancelled.ended().await, ["shutdown"]);

    let deaf = bench(4, 16, NONE);
    deaf.says("1", "deaf").await;
    started(&deaf).await;
    deaf.stop.cancel(CancelReason::Shutdown);
    assert_eq!(deaf.ended().await, ["dropped"]);
}

#[tokio::test]
async fn a_generation_that_does_not_hear_the_cancel_is_dropped_and_recorded() {
    let mut bench = bench(4, 16, Grace { cancel: Duration::ZERO, ..GRACE });
    bench.says("1", "deaf").await;
    started(&bench).await;
    bench.says("1", "/cancel").await;
    assert_eq!(bench.until_ready().await, "[end<cancelled>]");
    assert_eq!(*bench.assistant.recorded.lock().expect("not poisoned"), ["dropped"]);
}

async fn started(bench: &Bench) {
    let began = |bench: &Bench| {
        bench.assistant.running.load(Ordering::SeqCst) > 0
            || !bench.assistant.recorded.lock().expect("not poisoned").is_empty()
    };
    while !began(bench) {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_problem_made_of_a_class_is_a_cancel_or_a_failure() {
    assert_eq!(AnswerOutcome::failed(ErrorKind::CancelledByUser).result, Err(Problem::Cancelled));
    let gone = Problem::Failed { kind: ErrorKind::ClientGone, http_status: None, retry_in_seconds: None };
    assert_eq!(AnswerOutcome::failed(ErrorKind::ClientGone).result, Err(gone));
}

/// Notes what it is told, and when it is dropped.
struct Account(Arc<Mutex<Vec<&'static str>>>);

impl Ticket for Account {
    fn asking(&self) {
        self.0.lock().expect("not poisoned").push("asking");
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.0.lock().expect("not poisoned").push("done");
    }
}

#[tokio::test]
async fn a_channel_learns_when_a_model_is_asked_and_when_all_that_came_of_a_message_is_out() {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = || noted.lock().expect("not poisoned").clone();
    let mut bench = bench(1, 16, GRACE);
    let says = |text: &str| {
        let ticket: Option<Arc<dyn Ticket>> = Some(Arc::new(Account(Arc::clone(&noted))));
        let origin = Origin { ticket, ..Origin::default() };
        let person = Person::new("1", true);
        Event::Message { chat: chat("1"), person, text: text.into(), photos: Vec::new(), origin }
    };
    bench.events.send(says("one two")).await.expect("the driver runs");
    let mut last = None;
    loop {
        match bench.outgoing.recv().await.expect("the driver runs") {
            Outgoing::AnswerStart { .. } => assert!(!notes().contains(&"done")),
            end @ Outgoing::AnswerEnd { .. } => last = Some(end),
            Outgoing::Ready { .. } => break,
            _ => {}
        }
    }
    assert_eq!(notes(), ["asking"], "the end of the answer is not shown yet");
    drop(last);
    assert_eq!(notes(), ["asking", "done"]);
    bench.events.send(says("/stats")).await.expect("the driver runs");
    assert_eq!(bench.until_ready().await, "stats all");
    assert_eq!(notes(), ["asking", "done", "done"], "no model was asked for that");
}
