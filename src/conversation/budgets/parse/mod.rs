//! Reads what people type after `/budget`, in any of the four languages and in any order.

use super::amount::Number;
use super::order::{BudgetAsk, BudgetMistake, BudgetOf, BudgetOrder, By, Deed, Misread};
use super::words::{self, Verb};
use crate::conversation::people::PrivateText;
use crate::limits::{Facet, LimitKind, Measure, Span};
use crate::templates::fold;
use crate::usage::names::CHAT_CHANNELS;

/// Characters of a word that are shown again.
const MAX_ECHO_CHARS: usize = 40;

/// Words read at most; nobody needs so many.
const MAX_WORDS: usize = 24;

/// Reads the words after `/budget`.
pub(in crate::conversation) fn read(typed: &[&str]) -> BudgetAsk {
    let mut heard = Heard::default();
    match heard.take_all(&pieces(typed)) {
        Ok(()) => heard.meant().unwrap_or_else(BudgetAsk::Misread),
        Err(mistake) => BudgetAsk::Misread(mistake),
    }
}

/// Reads how much over what time, where it is known whose: `$5 day`, `5.00/day`, `200k tokens/month`. Dollars, unless it
/// says otherwise.
///
/// # Errors
/// What was not understood.
pub fn read_cap(typed: &str) -> Result<(LimitKind, u64), BudgetMistake> {
    let mut heard = Heard { of: Some(BudgetOf::default()), ..Heard::default() };
    for word in &pieces(&typed.split_whitespace().collect::<Vec<_>>()) {
        heard.take(word)?;
        if heard.verb.is_some() || heard.of != Some(BudgetOf::default()) {
            return Err(mistake(Misread::Word, word));
        }
    }
    heard.measure.get_or_insert(Measure::Money);
    heard.cap()
}

/// What the words said so far.
#[derive(Default)]
struct Heard {
    of: Option<BudgetOf>,
    verb: Option<Verb>,
    number: Option<(Number, PrivateText)>,
    is_percent: bool,
    measure: Option<Measure>,
    span: Option<Span>,
    is_any: bool,
}

type Taken = Result<(), BudgetMistake>;

impl Heard {
    fn take_all(&mut self, words: &[String]) -> Taken {
        for word in words.iter().take(MAX_WORDS) {
            self.take(word)?;
        }
        words.get(MAX_WORDS).map_or(Ok(()), |word| Err(mistake(Misread::Word, word)))
    }

    fn take(&mut self, word: &str) -> Taken {
        self.is_any = true;
        let folded = fold(word);
        if let Some((before, value)) = word.split_once(':') {
            return self.take_named(word, &fold(before), value);
        }
        if words::is_everything(&folded) {
            return match self.of.replace(BudgetOf::default()) {
                None => Ok(()),
                Some(_) => Err(mistake(Misread::Word, word)),
            };
        }
        if words::is_filler(&folded) {
            return Ok(());
        }
        let said = |place: bool| if place { Ok(()) } else { Err(mistake(Misread::Word, word)) };
        if let Some(measure) = words::measure(&folded) {
            return said(*self.measure.get_or_insert(measure) == measure);
        }
        if let Some(span) = words::span(&folded) {
            return said(*self.span.get_or_insert(span) == span);
        }
        if let Some(verb) = words::verb(&folded) {
            return said(self.verb.replace(verb).is_none());
        }
        if let (Some(times), Some((number, _))) = (words::times(&folded), &mut self.number) {
            let more = number.times(times).ok_or_else(|| mistake(Misread::Word, word))?;
            *number = more;
            return Ok(());
        }
        self.take_amount(word, &folded)
    }

    /// `team:sales`, `telegram:111`.
    fn take_named(&mut self, word: &str, before: &str, value: &str) -> Taken {
        let wrong = || mistake(Misread::Word, word);
        let (facet, value) = match words::facet(before) {
            Some(Facet::User) if words::is_guests(&fold(value)) => (Facet::User, "guests"),
            Some(facet) => (facet, value),
            None if CHAT_CHANNELS.contains(&before) => (Facet::User, word),
            None => return Err(wrong()),
        };
        let of = self.of.get_or_insert_default();
        if value.is_empty() || of.0.iter().any(|(other, _)| *other == facet) {
            return Err(wrong());
        }
        of.0.push((facet, value.into()));
        of.0.sort_by_key(|(facet, _)| *facet);
        Ok(())
    }

    /// `$5`, `+20%`, `200k`.
    fn take_amount(&mut self, word: &str, folded: &str) -> Taken {
        let wrong = || mistake(Misread::Word, word);
        let mut rest = folded;
        if let Some(more) = rest.strip_prefix('+') {
            if self.verb.replace(Verb::Raise).is_some_and(|verb| verb != Verb::Raise) {
                return Err(wrong());
            }
            rest = more;
        }
        for mark in ["us$", "$us", "usd", "$"] {
            let bare = rest.strip_prefix(mark).or_else(|| rest.strip_suffix(mark));
            if let Some(bare) = bare {
                if *self.measure.get_or_insert(Measure::Money) != Measure::Money {
                    return Err(wrong());
                }
                rest = bare;
                break;
            }
        }
        // `200000tokens`, `200ktokens`: what is counted, written onto the number.
        let measured = |at: usize| {
            let (bare, word) = rest.split_at_checked(at)?;
            Some((bare, words::measure(word)?))
        };
        let letters = rest.find(char::is_alphabetic);
        if let Some((bare, measure)) = letters.and_then(|at| measured(at).or_else(|| measured(at + 1))) {
            if *self.measure.get_or_insert(measure) != measure {
                return Err(wrong());
            }
            rest = bare;
        }
        if let Some(bare) = rest.strip_suffix('%') {
            self.is_percent = true;
            rest = bare;
        }
        if rest.is_empty() {
            return Ok(()); // a mark that stands alone belongs to the number beside it
        }
        let digits = rest.trim_end_matches(['k', 'm']);
        let number = Number::parse(digits).ok_or_else(wrong)?;
        let number = match &rest[digits.len()..] {
            "" => number,
            letter => words::times(letter).and_then(|times| number.times(times)).ok_or_else(wrong)?,
        };
        match self.number.replace((number, echo(word))) {
            None => Ok(()),
            Some(_) => Err(wrong()),
        }
    }

    fn meant(self) -> Result<BudgetAsk, BudgetMistake> {
        if self.verb.is_none() && self.number.is_none() && self.measure.is_none() && self.span.is_none() {
            return match (self.of, self.is_any) {
                (None, true) => Err(missing(Misread::Whose)),
                (of, _) => Ok(BudgetAsk::Show(of)),
            };
        }
        let deed = match self.verb {
            None => self.cap().map(|(limit, amount)| Deed::Set { limit, amount })?,
            Some(Verb::Raise) => Deed::Raise(self.by()?),
            Some(verb) => {
                if let Some((_, word)) = self.number {
                    return Err(BudgetMistake { misread: Misread::Word, word });
                }
                match verb {
                    Verb::Unlimited => Deed::Unlimited,
                    Verb::Pause => Deed::Pause,
                    Verb::Stop => Deed::Stop,
                    Verb::Mute => Deed::Mute,
                    Verb::Remove => Deed::Remove,
                    Verb::GoOn | Verb::Raise => Deed::GoOn,
                }
            }
        };
        let Heard { of, measure, span, .. } = self;
        let of = of.ok_or_else(|| missing(Misread::Whose))?;
        Ok(BudgetAsk::Change(BudgetOrder { of, deed, measure, span }))
    }

    fn cap(&self) -> Result<(LimitKind, u64), BudgetMistake> {
        let Some((number, word)) = &self.number else { return Err(missing(Misread::HowMuch)) };
        let about = |misread| BudgetMistake { misread, word: word.clone() };
        if self.is_percent {
            return Err(about(Misread::Word));
        }
        let measure = self.measure.ok_or_else(|| about(Misread::OfWhat))?;
        let amount = number.amount(measure).map_err(|problem| about(Misread::Amount(problem)))?;
        let span = self.span.ok_or_else(|| about(Misread::HowLong))?;
        let limit = LimitKind::of(measure, span).ok_or_else(|| about(Misread::NoMoneyPerMinute))?;
        Ok((limit, amount))
    }

    fn by(&self) -> Result<By, BudgetMistake> {
        let Some((number, word)) = &self.number else { return Err(missing(Misread::HowMuch)) };
        let about = |misread| BudgetMistake { misread, word: word.clone() };
        if self.is_percent {
            return number.percent().map(By::Percent).ok_or_else(|| about(Misread::Word));
        }
        if let Some(measure) = self.measure {
            number.amount(measure).map_err(|problem| about(Misread::Amount(problem)))?;
        }
        Ok(By::Amount(*number))
    }
}

/// The words as they are read: `$5/day` is two, `1 500 000` is one, and so is `team: sales`.
fn pieces(typed: &[&str]) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let split = typed.iter().flat_map(|word| match word.contains(':') {
        true => vec![*word],
        false => word.split('/').filter(|part| !part.is_empty()).collect(),
    });
    for word in split {
        match pieces.last_mut() {
            Some(last) if last.ends_with(':') => last.push_str(word),
            Some(last) if is_group(word) && begins_groups(last) => last.push_str(&format!(" {word}")),
            _ => pieces.push(word.to_owned()),
        }
    }
    // Where numbers are grouped by spaces, those are left out.
    let is_grouped = |piece: &String| piece.contains(' ') && !piece.contains(':');
    pieces.into_iter().map(|piece| if is_grouped(&piece) { piece.replace(' ', "") } else { piece }).collect()
}

/// Three digits, perhaps with what may follow a number.
fn is_group(word: &str) -> bool {
    let folded = fold(word);
    let marks = folded.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = folded.len() - marks.len();
    let fraction = marks.strip_prefix(',').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    digits == 3 && matches!(fraction.unwrap_or(marks), "" | "$" | "k" | "m" | "usd")
}

/// Up to three digits with what may stand before a number, or such a beginning with groups.
fn begins_groups(word: &str) -> bool {
    let digits = word.trim_start_matches(['+', '$']);
    let mut groups = digits.split(' ');
    let first = groups.next().unwrap_or_default();
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    (1..=3).contains(&first.len()) && all_digits(first) && groups.all(|group| group.len() == 3 && all_digits(group))
}

fn mistake(misread: Misread, word: &str) -> BudgetMistake {
    BudgetMistake { misread, word: echo(word) }
}

fn missing(misread: Misread) -> BudgetMistake {
    BudgetMistake { misread, word: PrivateText::default() }
}

fn echo(word: &str) -> PrivateText {
    word.chars().filter(|c| !c.is_control()).take(MAX_ECHO_CHARS).collect::<String>().into()
}

#[cfg(test)]
mod tests;
