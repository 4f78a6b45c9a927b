//! Which files there are to import, and what each of them is.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use flate2::bufread::MultiGzDecoder;

use super::found::Found;
use super::wire::check_opening;
use super::{own_lines, raymundo, session_report, token_log, token_stats};
use crate::ledger::{Acts, Folder};
use crate::reports::raymundo::MADE_BY;
use crate::usage::{Opening, Origin, Timestamp, unseal_line};

/// The largest document that is read; logs may be of any size.
const MAX_DOCUMENT_BYTES: u64 = 64 * 1024 * 1024;

/// How much of a file is looked at to tell what it is.
const HEAD_BYTES: u64 = 64 * 1024;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A token log: one call per line.
    TokenLog,
    /// A token log's totals.
    TokenStats,
    /// A token tracker's report of a session.
    SessionReport,
    /// Raymundo's metrics.
    Metrics,
    /// A tallybot's journal.
    Tallybot,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 5] =
        [Format::TokenLog, Format::TokenStats, Format::SessionReport, Format::Metrics, Format::Tallybot];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::TokenLog => "token-log",
            Format::TokenStats => "token-stats",
            Format::SessionReport => "session-report",
            Format::Metrics => "raymundo",
            Format::Tallybot => "tallybot",
        }
    }

    /// Whose its calls are, unless somebody names them otherwise. A log and the totals of it are of one source.
    pub(super) fn usual_source(self) -> &'static str {
        match self {
            Format::TokenLog | Format::TokenStats => token_log::SOURCE,
            Format::SessionReport => session_report::SOURCE,
            Format::Metrics => raymundo::SOURCE,
            Format::Tallybot => "tallybot",
        }
    }
}

/// A file to import.
#[derive(Clone, Debug)]
pub(super) struct ImportFile {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) bytes: u64,
    /// Whose its calls are: a name, or the lineage of other books.
    pub(super) source: String,
}

/// Everything that was found at some paths.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) files: Vec<ImportFile>,
    /// Opening balances of other books, each with the act that told it first.
    pub(super) openings: Vec<Opening>,
    /// What could not be taken, by file or folder, and why.
    pub(super) bad: Vec<(PathBuf, String)>,
}

impl Files {
    /// Looks at paths: files, and folders with files of a known form in them.
    ///
    /// # Errors
    /// When one cannot be read, or nothing that is known is there.
    pub(super) fn find(
        paths: &[PathBuf],
        forced: Option<Format>,
        source: Option<&str>,
        ours: Option<&Acts>,
    ) -> anyhow::Result<Files> {
        let mut found = Files::default();
        for path in paths {
            if path.is_dir() {
                found.folder(path, forced, source, ours)?;
            } else {
                refuse_stream(path)?;
                let guessed = match forced {
                    Some(forced) => Guess::Is(forced),
                    None => guess(path)?,
                };
                let Guess::Is(format) = guessed else {
                    if guessed == Guess::Export {
                        bail!(
                            "`{}` was made by a tallybot from its books, and its calls would count twice beside them; import \
                             its data folder instead",
                            path.display()
                        );
                    }
                    let names = Format::ALL.map(Format::as_str).join(", ");
                    bail!(
                        "cannot tell what `{}` is; say it with --format, which takes one of {names}, for example \
                         `--format {}`",
                        path.display(),
                        Format::ALL[0].as_str()
                    );
                };
                found.file(path, format, source)?;
            }
        }
        Ok(found)
    }

    fn folder(
        &mut self,
        path: &Path,
        forced: Option<Format>,
        source: Option<&str>,
        ours: Option<&Acts>,
    ) -> anyhow::Result<()> {
        let read = fs::read_dir(path).with_context(|| format!("cannot read the folder `{}`", path.display()))?;
        let mut names = Vec::new();
        for entry in read {
            match entry.map(|entry| entry.path()).and_then(|name| Ok((fs::metadata(&name)?.is_file(), name))) {
                Ok((true, name)) => names.push(name),
                Ok((false, _)) => {}
                Err(error) => self.bad.push((path.to_owned(), format!("a file in it cannot be looked at: {error}"))),
            }
        }
        names.sort();
        let books = Folder::new(path);
        let acts = if books.has_books() { books.acts() } else { Ok(None) };
        let acts = acts.with_context(|| format!("cannot import `{}`", path.display()))?;
        let before = self.files.len();
        for name in names {
            let format = match Form::of(&name) {
                Form::Other => None,
                Form::Control => None,
                Form::Document if acts.is_some() => None, // made of the lines
                _ => guess(&name)?.format(),
            };
            match format {
                Some(format) if forced.is_none_or(|forced| forced == format) => self.file(&name, format, source)?,
                _ => {}
            }
        }
        let is_ours = |origin: Origin| ours.is_some_and(|ours| ours.lineage == origin.lineage);
        for (origin, opening) in acts.iter().flat_map(Acts::openings_by_origin) {
            match check_opening(opening) {
                _ if is_ours(origin) => {} // told here first, whatever way it went
                Ok(()) => self.openings.push(Opening { origin: Some(origin), ..opening.clone() }),
                Err(reason) => self.bad.push((path.join("control.jsonl"), reason)),
            }
        }
        if self.files.len() == before && acts.is_none() && self.bad.is_empty() {
            bail!("nothing to import in `{}`; expected for example `tokens_2025-02-05.jsonl`", path.display());
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, format: Format, source: Option<&str>) -> anyhow::Result<()> {
        let metadata = fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let books = Folder::new(parent);
        if format == Format::TokenStats && books.has_books() {
            bail!("`{}` is made of the lines beside it; import the folder instead", path.display());
        }
        let lineage = || books.acts().ok().flatten().map(|acts| acts.lineage.to_string());
        let source = match format {
            Format::Tallybot => lineage().unwrap_or_else(|| format.usual_source().to_owned()),
            _ => source.unwrap_or(format.usual_source()).to_owned(),
        };
        self.files.push(ImportFile { path: path.to_owned(), format, bytes: metadata.len(), source });
        Ok(())
    }
}

impl ImportFile {
    /// Reads the file; `on_bytes` is told how many bytes more of it were read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(&self, on_bytes: impl FnMut(u64), mut on: impl FnMut(Found)) -> anyhow::Result<()> {
        let reading = || format!("cannot read `{}`", self.path.display());
        let file = File::open(&self.path).with_context(reading)?;
        let file = Counted { file, on_bytes };
        match self.format {
            Format::Tallybot if Form::of(&self.path) == Form::CompressedLines => {
                let mut last = 0;
                let lines = BufReader::new(MultiGzDecoder::new(BufReader::new(file)));
                let read = own_lines::read(lines, &self.source, |found| {
                    last += 1;
                    on(found);
                });
                if read.is_err() {
                    let reason = "the compressed file cannot be read further".to_owned();
                    on(Found::Bad { line: last + 1, reason });
                }
                Ok(())
            }
            Format::TokenLog => token_log::read(blocks(file), &self.source, on).with_context(reading),
            Format::Tallybot => own_lines::read(blocks(file), &self.source, on).with_context(reading),
            Format::TokenStats | Format::SessionReport | Format::Metrics => {
                let mut content = Vec::new();
                file.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut content).with_context(reading)?;
                if content.len() as u64 > MAX_DOCUMENT_BYTES {
                    let reason = format!("the file is larger than {MAX_DOCUMENT_BYTES} bytes");
                    on(Found::Bad { line: 1, reason });
                    return Ok(());
                }
                match self.format {
                    Format::TokenStats => token_stats::read(&content, &self.source, on),
                    Format::SessionReport => session_report::read(&content, &self.source, on),
                    _ => raymundo::read(&content, &self.source, on),
                }
                Ok(())
            }
        }
    }
}

/// A file whose reading is followed.
struct Counted<F> {
    file: File,
    on_bytes: F,
}

impl<F: FnMut(u64)> Read for Counted<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        (self.on_bytes)(read as u64);
        Ok(read)
    }
}

fn blocks<R: Read>(file: R) -> BufReader<R> {
    BufReader::with_capacity(1 << 16, file)
}

/// What the name of a file says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    CompressedLines,
    Document,
    Control,
    Other,
}

impl Form {
    fn of(path: &Path) -> Form {
        match path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase() {
            name if name == "control.jsonl" => Form::Control,
            name if name.ends_with(".jsonl") => Form::Lines,
            name if name.ends_with(".jsonl.gz") => Form::CompressedLines,
            name if name.ends_with(".json") => Form::Document,
            _ => Form::Other,
        }
    }
}

/// A file is read several times: what is read once and gone would be taken for empty.
///
/// # Errors
/// When it is a pipe, a terminal or a device.
fn refuse_stream(path: &Path) -> anyhow::Result<()> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    if !metadata.is_file() {
        bail!(
            "`{}` is not a file but a pipe or a device, and what is imported is read twice; write it to a file first, for \
             example `zcat calls.jsonl.gz > calls.jsonl`, and import that",
            path.display()
        );
    }
    Ok(())
}

/// What a file seems to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    Is(Format),
    /// What a tallybot made from its books for others to read: it tells nothing that these do not.
    Export,
    Unknown,
}

impl Guess {
    fn format(self) -> Option<Format> {
        if let Guess::Is(format) = self { Some(format) } else { None }
    }
}

/// What a file is, by its first bytes.
fn guess(path: &Path) -> anyhow::Result<Guess> {
    let reading = || format!("cannot read `{}`", path.display());
    let file = File::open(path).with_context(reading)?;
    let mut head = Vec::new();
    let form = Form::of(path);
    if form == Form::CompressedLines {
        // What is damaged is told when it is read.
        let _cut = MultiGzDecoder::new(BufReader::new(file)).take(HEAD_BYTES).read_to_end(&mut head);
        return Ok(match guess_by(&head, true) {
            Guess::Is(Format::Tallybot) => Guess::Is(Format::Tallybot),
            _ => Guess::Unknown,
        });
    }
    file.take(HEAD_BYTES).read_to_end(&mut head).with_context(reading)?;
    Ok(guess_by(&head, form == Form::Lines))
}

fn guess_by(head: &[u8], lines: bool) -> Guess {
    let has = |text: &str| memchr::memmem::find(head, text.as_bytes()).is_some();
    let is_sealed = |line: &[u8]| unseal_line(line.trim_ascii()).is_ok();
    if head.split(|byte| *byte == b'\n').any(is_sealed) {
        return if lines { Guess::Is(Format::Tallybot) } else { Guess::Unknown }; // else a snapshot, which is made of lines
    }
    if head.trim_ascii_start().starts_with(b"{\"v\":1,") {
        return Guess::Export; // its calls have other ids than in the books they are of
    }
    if lines {
        return Guess::Is(Format::TokenLog);
    }
    if has("\"calls_detail\"") || (has("\"session_start\"") && has("\"total_calls\"")) {
        return Guess::Is(Format::SessionReport);
    }
    if has("\"requests_por_tipo\"") || has("\"total_tokens_ollama\"") || has("\"total_tokens_gpt4o\"") {
        let is_ours = has("\"generado_por\"") && has(&format!("\"{MADE_BY}\""));
        return if is_ours { Guess::Export } else { Guess::Is(Format::Metrics) };
    }
    if has("\"total_prompt_tokens\"") && has("\"total_requests\"") {
        return if has_instants(head) { Guess::Export } else { Guess::Is(Format::TokenStats) };
    }
    let one_per_line = head.trim_ascii_start().starts_with(b"{") && has("\"prompt_tokens\"") && has("\"timestamp\"");
    if one_per_line { Guess::Is(Format::TokenLog) } else { Guess::Unknown }
}

/// Whether totals tell their times with an offset, as those do that a tallybot makes and no tracker does.
fn has_instants(head: &[u8]) -> bool {
    const FIELD: &[u8] = b"\"last_updated\":";
    let is_instant = |at: usize| {
        let value = head[at + FIELD.len()..].trim_ascii_start().strip_prefix(b"\"").unwrap_or_default();
        let text = value.split(|byte| *byte == b'"').next().unwrap_or_default();
        std::str::from_utf8(text).is_ok_and(|text| Timestamp::parse(text).is_ok())
    };
    memchr::memmem::find_iter(head, FIELD).any(is_instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_what_is_in_them() {
        for (text, lines, expected) in [
            (
                include_str!("../../../tests/it/fixtures/token-log/token_stats.json"),
                false,
                Guess::Is(Format::TokenStats),
            ),
            (
                include_str!("../../../tests/it/fixtures/token-log/tokens_2025-02-05.jsonl"),
                true,
                Guess::Is(Format::TokenLog),
            ),
            (
                include_str!("../../../tests/it/fixtures/token-log/tokens_2025-02-05.jsonl"),
                false,
                Guess::Is(Format::TokenLog),
            ),
            (
                include_str!("../../../tests/it/fixtures/session-report/report.json"),
                false,
                Guess::Is(Format::SessionReport),
            ),
            (include_str!("../../../tests/it/fixtures/raymundo/metrics.json"), false, Guess::Is(Format::Metrics)),
            (include_str!("../../../metrics.json.example"), false, Guess::Unknown),
            ("{\"name\":\"a package\"}", false, Guess::Unknown),
            ("", false, Guess::Unknown),
            ("{\"v\":1,\"id\":\"x\"}", true, Guess::Export),
            (
                "{\"total_requests\": 3, \"requests_por_tipo\": {}, \"generado_por\": \"tallybot\"}",
                false,
                Guess::Export,
            ),
        ] {
            assert_eq!(guess_by(text.as_bytes(), lines), expected, "{}", &text[..text.len().min(60)]);
        }
    }
}
