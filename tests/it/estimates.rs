//! Our estimates against real vocabularies, the figures of docs/estimates.md, and a model whose provider counts
//! otherwise than we do.

use std::fs;
use std::path::Path;

use tallybot::conversation::driver::Assistant;
use tallybot::conversation::{CancelToken, Job};
use tallybot::models::Kind;
use tallybot::usage::{
    Calibration, Estimated, RecordId, Timestamp, TokenEstimator, UsageRecord, UsageSource, estimate_prompt_tokens,
    estimate_tokens,
};
use tiktoken_rs::CoreBPE;

use crate::in_process::{Bench, job, sink};
use crate::providers::{Reply, ScriptedProvider, ollama};

const TEXTS: [(&str, &str); 8] = [
    ("Portuguese", "portuguese"),
    ("Spanish", "spanish"),
    ("French", "french"),
    ("English", "english"),
    ("Chinese", "chinese"),
    ("Rust", "rust"),
    ("Python", "python"),
    ("JSON", "json"),
];

/// Estimated and counted tokens of one text.
type Pair = (u64, u64);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn texts(file: &str) -> Vec<String> {
    let path = root().join("tests/it/fixtures/estimates").join(file).with_extension("txt");
    let all = fs::read_to_string(path).expect("the texts");
    all.trim_end().split("\n%%\n").map(str::to_owned).collect()
}

/// By how much an estimate is off, in tenths of a percent.
fn off((estimated, counted): Pair) -> u64 {
    (estimated.abs_diff(counted) * 2_000 / counted).div_ceil(2)
}

fn mean(pairs: &[Pair]) -> u64 {
    pairs.iter().copied().map(off).sum::<u64>() / pairs.len() as u64
}

fn percent(tenths: u64) -> String {
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// The second half of the texts, calibrated by the first.
fn calibrated(pairs: &[Pair]) -> Vec<Pair> {
    let (learned, measured) = pairs.split_at(pairs.len() / 2);
    let at = Timestamp::parse("2026-11-22T12:00:00Z").expect("a time");
    let mut calibration = Calibration::default();
    for (estimated, counted) in learned.iter().cycle().take(200) {
        let mut record = UsageRecord::new(RecordId::new(at, [1; 10]), at, "cloud".into(), "m".into());
        record.tokens.prompt = *counted;
        record.estimated = Some(Estimated { prompt: *estimated, output: 0 });
        calibration.apply(&record);
    }
    let factors = calibration.factors("m");
    measured.iter().map(|(estimated, counted)| (factors.prompt(*estimated), *counted)).collect()
}

fn row(name: &str, file: &str, vocabularies: &[&CoreBPE]) -> String {
    let texts = texts(file);
    let tokens: u64 = texts.iter().map(|text| vocabularies[0].encode_ordinary(text).len() as u64).sum();
    let mut row = format!("| {name} | {} | {tokens} |", texts.len());
    for vocabulary in vocabularies {
        let pair = |text: &String| (estimate_tokens(text), vocabulary.encode_ordinary(text).len() as u64);
        let pairs: Vec<Pair> = texts.iter().map(pair).collect();
        let worst = pairs.iter().copied().map(off).max().expect("a text");
        let after = mean(&calibrated(&pairs));
        row += &format!(" {} | {} | {} |", percent(mean(&pairs)), percent(worst), percent(after));
    }
    row
}

/// Prints the table; `cargo test --test it estimates -- --nocapture` shows it.
#[test]
fn the_page_on_estimates_has_the_figures_of_the_code() {
    let vocabularies = [tiktoken_rs::o200k_base_singleton(), tiktoken_rs::cl100k_base_singleton()];
    let rows: Vec<String> = TEXTS.iter().map(|(name, file)| row(name, file, &vocabularies)).collect();
    println!("{}", rows.join("\n"));
    let page = fs::read_to_string(root().join("docs/estimates.md")).expect("the page");
    let missing: Vec<&String> = rows.iter().filter(|row| !page.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/estimates.md lacks these rows:\n{missing:#?}");
}

#[test]
fn no_language_is_a_tenth_off_the_newest_vocabulary() {
    let vocabulary = tiktoken_rs::o200k_base_singleton();
    for (name, file) in TEXTS {
        let pair = |text: &String| (estimate_tokens(text), vocabulary.encode_ordinary(text).len() as u64);
        let pairs: Vec<Pair> = texts(file).iter().map(pair).collect();
        assert!(mean(&pairs) < 100, "{name}: {}", percent(mean(&pairs)));
    }
}

#[tokio::test]
async fn a_provider_that_counts_half_as_much_again_is_learned() {
    let question = texts("english").join("\n");
    let answer = texts("spanish").join("\n");
    let asked = || -> Job { job(Kind::Ollama, "session", &question) };
    let raw_prompt = estimate_prompt_tokens(asked().turns.iter().map(|turn| &*turn.text));
    let mut estimator = TokenEstimator::for_model("llama3.2");
    estimator.push(&answer);
    let half_more = |raw: u64| raw + raw / 2;
    let (prompt, output) = (half_more(raw_prompt), half_more(estimator.tokens()));
    let silent = ollama::chat_lines(&[&answer], prompt, output).into_iter().map(|line| {
        let counts = [format!("\"prompt_eval_count\":{prompt}"), format!("\"eval_count\":{output}")];
        let without =
            |line: String, count: &String| line.replace(&format!("{count},"), "").replace(&format!(",{count}"), "");
        counts.iter().fold(line, without)
    });
    let replies = (0..6).map(|_| ollama::chat(&[&answer], prompt, output));
    let server =
        ScriptedProvider::in_turn(replies.chain([Reply::stream("application/x-ndjson", silent)]).collect::<Vec<_>>())
            .await;
    let bench = Bench::new(Kind::Ollama, &server);
    for _ in 0..7 {
        bench.answering.ask(asked(), sink().0, CancelToken::new()).await;
    }
    let records = bench.records();
    let (last, reported) = records.split_last().expect("seven records");
    let raw = Estimated { prompt: raw_prompt, output: estimator.tokens() };
    assert!(reported.iter().all(|record| record.estimated == Some(raw)), "what is folded is never calibrated");
    assert_eq!((last.usage_source, last.estimated), (UsageSource::Estimated, None));
    let near = |guess: u64, truth: u64| guess.abs_diff(truth) * 100 <= truth;
    assert!(near(last.tokens.prompt, prompt) && near(last.tokens.completion, output), "{:?}", last.tokens);
}
