//! A long answer as messages that Telegram takes: cut between blocks, lines, sentences or words, while it is still
//! growing too. Nothing is lost, and code that is cut goes on as code.

mod fence;
#[cfg(test)]
mod tests;

use pulldown_cmark::{Event, Tag};
use unicode_segmentation::UnicodeSegmentation;

use super::format;
use crate::conversation::PrivateText;
use fence::{Continued, Fence};

/// Telegram takes no more Unicode code points in a message, counted as they are seen.
pub const MAX_LENGTH: usize = 4_096;

/// A message that grows beyond this is cut.
pub const AIM: usize = 3_800;

/// How much of a text is looked at for the next cut, at first.
const WINDOW_BYTES: usize = 16_384;

/// A whole answer as Markdown of one message each; none if nothing of it can be seen.
pub fn split(markdown: &str) -> Vec<PrivateText> {
    let mut parts = Parts::new();
    parts.push(markdown);
    parts.finish()
}

/// An answer while it is written. What has become [`complete`](Parts::complete) never changes again.
pub struct Parts {
    aim: usize,
    max_length: usize,
    complete: Vec<PrivateText>,
    /// The Markdown behind the last cut.
    rest: String,
    /// The code the last cut went through.
    open: Option<Fence>,
}

impl Default for Parts {
    fn default() -> Self {
        Parts::new()
    }
}

impl Parts {
    /// An answer of which nothing has come yet.
    pub fn new() -> Parts {
        Parts::sized(AIM, MAX_LENGTH)
    }

    fn sized(aim: usize, max_length: usize) -> Parts {
        Parts { aim, max_length, complete: Vec::new(), rest: String::new(), open: None }
    }

    /// Adds what comes next.
    pub fn push(&mut self, more: &str) {
        self.rest.push_str(more);
        while self.cut() {}
    }

    /// The Markdown of each message that will not change any more.
    pub fn complete(&self) -> &[PrivateText] {
        &self.complete
    }

    /// The Markdown of the message behind those, as far as it has come; `None` while nothing of it can be seen. It fits.
    pub fn growing(&self) -> Option<PrivateText> {
        let rest = Continued::new(self.open.as_ref(), &self.rest).text;
        is_seen(&rest).then(|| rest.into())
    }

    /// All of it, when nothing more comes.
    pub fn finish(mut self) -> Vec<PrivateText> {
        self.complete.extend(self.growing());
        self.complete
    }

    /// Completes the next message, if there is more than one.
    fn cut(&mut self) -> bool {
        let mut window = WINDOW_BYTES;
        let (rest, boundaries) = loop {
            let text = &self.rest[..self.rest.floor_char_boundary(window)];
            let rest = Continued::new(self.open.as_ref(), text);
            if length(&rest.text) > self.aim {
                let boundaries = boundaries(&rest.text[rest.head..], rest.head, self.aim);
                break (rest, boundaries);
            }
            if text.len() == self.rest.len() {
                return false;
            }
            window = window.saturating_mul(2);
        };
        let at = self.place(&rest, &boundaries);
        let open = fence::around(&rest.text, at);
        let part = fence::closed(&rest.text[..at], open.as_ref());
        if is_seen(&part) {
            self.complete.push(part.into());
        }
        let consumed = rest.source_place(at);
        self.open = open;
        self.rest.drain(..consumed);
        true
    }

    /// Where to cut: the best place in the second half of what fits, or as much as fits.
    fn place(&self, rest: &Continued, boundaries: &[usize]) -> usize {
        let text = &rest.text;
        let fitting = boundaries.partition_point(|end| length(&text[..*end]) <= self.aim);
        let mut last = fitting.saturating_sub(1);
        let (begin, end) = (rest.head, boundaries[last]);
        let half = begin + (end - begin) / 2;
        let fits = |at: usize| length(&fence::closed(&text[..at], fence::around(text, at).as_ref())) <= self.max_length;
        let is_good = |at: &usize| *at > half && *at <= end && boundaries.binary_search(at).is_ok() && fits(*at);
        let found = (places_of_blocks(text).into_iter().rev().find(is_good))
            .or_else(|| places_of_items(text).into_iter().rev().find(is_good))
            .or_else(|| places_behind(&text[..end], |c, _| c == '\n').into_iter().rev().find(is_good))
            .or_else(|| places_behind(&text[..end], ends_sentence).into_iter().rev().find(is_good))
            .or_else(|| places_behind(&text[..end], |c, _| c.is_whitespace()).into_iter().rev().find(is_good));
        if let Some(found) = found {
            return found;
        }
        // Marks that lose their other half can make a beginning longer than the whole.
        while last > 0 && !fits(boundaries[last]) {
            last /= 2;
        }
        boundaries[last]
    }
}

/// What counts against the limit.
fn length(markdown: &str) -> usize {
    format::plain(markdown).chars().count()
}

/// Telegram takes no message of white space.
fn is_seen(markdown: &str) -> bool {
    !format::plain(markdown).trim().is_empty()
}

/// Where characters as people see them end. One that is longer than a message is cut nevertheless.
fn boundaries(text: &str, offset: usize, aim: usize) -> Vec<usize> {
    let mut ends = Vec::new();
    for (start, cluster) in text.grapheme_indices(true) {
        let pieces = cluster.char_indices().map(|(at, _)| at).skip(aim).step_by(aim);
        ends.extend(pieces.map(|at| offset + start + at));
        ends.push(offset + start + cluster.len());
    }
    ends
}

/// Where paragraphs, lists, blocks of code and such begin; what follows a heading stays with it.
fn places_of_blocks(text: &str) -> Vec<usize> {
    let (mut places, mut depth, mut behind_heading) = (Vec::new(), 0_usize, false);
    for (event, place) in format::events(text) {
        if depth == 0 {
            if !behind_heading {
                places.push(place.start);
            }
            behind_heading = matches!(event, Event::Start(Tag::Heading { .. }));
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    places
}

fn places_of_items(text: &str) -> Vec<usize> {
    let items = format::events(text).filter(|(event, _)| matches!(event, Event::Start(Tag::Item)));
    items.map(|(_, place)| place.start).collect()
}

/// The places behind a character that, with the one after it, is what is looked for.
fn places_behind(text: &str, is_it: impl Fn(char, Option<char>) -> bool) -> Vec<usize> {
    let mut chars = text.char_indices().peekable();
    let mut places = Vec::new();
    while let Some((at, c)) = chars.next() {
        if is_it(c, chars.peek().map(|(_, next)| *next)) {
            places.push(at + c.len_utf8());
        }
    }
    places
}

fn ends_sentence(c: char, next: Option<char>) -> bool {
    let is_spaced = matches!(c, '.' | '!' | '?' | '…' | ':' | ';') && next.is_some_and(char::is_whitespace);
    is_spaced || matches!(c, '。' | '！' | '？')
}
