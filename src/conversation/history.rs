//! What was said, bounded by messages and by tokens. The oldest exchanges go first, a question with its answer.

use std::collections::VecDeque;

use super::people::PrivateText;

/// Who wrote a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The owner, telling the model how to be.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation, as a model is to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who wrote it.
    pub role: Role,
    /// What.
    pub text: PrivateText,
}

/// The bounds of a conversation.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Turns sent to a model in one call, the system prompt and the question included.
    pub messages: usize,
    /// Tokens sent to a model in one call, estimated.
    pub tokens: u64,
    /// Sessions held at once.
    pub sessions: usize,
    /// Estimates the tokens of a text.
    pub estimate: fn(&str) -> u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { messages: 40, tokens: 6_000, sessions: 1_000, estimate: quarter_of_chars }
    }
}

fn quarter_of_chars(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

/// The finished exchanges of one session.
#[derive(Clone, Debug, Default)]
pub struct History {
    exchanges: VecDeque<Exchange>,
}

#[derive(Clone, Debug)]
struct Exchange {
    question: PrivateText,
    answer: PrivateText,
    tokens: u64,
}

impl History {
    /// Keeps a question and its answer, and lets go of the oldest that no longer fit.
    pub fn push(&mut self, question: PrivateText, answer: PrivateText, bounds: &Bounds) {
        let tokens = (bounds.estimate)(&question).saturating_add((bounds.estimate)(&answer));
        self.exchanges.push_back(Exchange { question, answer, tokens });
        let fitting = self.fitting(bounds.messages, bounds.tokens);
        self.exchanges.drain(..self.exchanges.len() - fitting);
    }

    /// Takes back the last exchange if it was about `question`.
    pub fn take_back(&mut self, question: &PrivateText) {
        if self.exchanges.back().is_some_and(|last| last.question == *question) {
            self.exchanges.pop_back();
        }
    }

    /// The turns to send: the system prompt, as many of the latest exchanges as fit, the question.
    ///
    /// `None` when the question and the system prompt alone are over the bound of tokens.
    pub fn prompt(&self, system: Option<&PrivateText>, question: &PrivateText, bounds: &Bounds) -> Option<Vec<Turn>> {
        let fixed_tokens = system.map_or(0, |text| (bounds.estimate)(text)).saturating_add((bounds.estimate)(question));
        let tokens_left = bounds.tokens.checked_sub(fixed_tokens)?;
        let messages_left = bounds.messages.saturating_sub(1 + usize::from(system.is_some()));
        let first = self.exchanges.len() - self.fitting(messages_left, tokens_left);
        let system = system.map(|text| Turn { role: Role::System, text: text.clone() });
        let said = self.exchanges.range(first..).flat_map(|exchange| {
            [
                Turn { role: Role::User, text: exchange.question.clone() },
                Turn { role: Role::Assistant, text: exchange.answer.clone() },
            ]
        });
        let question = Turn { role: Role::User, text: question.clone() };
        Some(system.into_iter().chain(said).chain([question]).collect())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.exchanges.clear();
    }

    /// How many of the latest exchanges fit into so many messages and tokens.
    fn fitting(&self, messages: usize, tokens: u64) -> usize {
        let mut sum = 0u64;
        self.exchanges
            .iter()
            .rev()
            .take(messages / 2)
            .take_while(|exchange| {
                sum = sum.saturating_add(exchange.tokens);
                sum <= tokens
            })
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bounds(messages: usize, tokens: u64) -> Bounds {
        Bounds { messages, tokens, ..Bounds::default() }
    }

    #[test]
    fn the_oldest_go_in_pairs_and_a_retried_question_stands_once() {
        let bounds = bounds(6, 1_000);
        let mut history = History::default();
        for n in 0..5 {
            history.push(format!("q{n}").into(), format!("a{n}").into(), &bounds);
        }
        let texts = |turns: Vec<Turn>| turns.iter().map(|turn| turn.text.to_string()).collect::<Vec<_>>();
        let system = PrivateText::from("be kind");
        let turns = history.prompt(Some(&system), &"q5".into(), &bounds).expect("fits");
        assert_eq!(texts(turns), ["be kind", "q3", "a3", "q4", "a4", "q5"]);
        history.take_back(&"q4".into());
        history.take_back(&"another".into());
        let turns = history.prompt(None, &"q4".into(), &bounds).expect("fits");
        assert_eq!(texts(turns), ["q2", "a2", "q3", "a3", "q4"]);
    }

    proptest! {
        #[test]
        fn never_over_the_bounds_and_the_question_is_last(
            said in prop::collection::vec(("[a-z ]{0,80}", "[a-z ]{0,80}"), 0..30),
            system in prop::option::of("[a-z ]{0,40}"),
            question in "[a-z ]{1,200}",
            messages in 2usize..12,
            tokens in 0u64..120,
        ) {
            let bounds = bounds(messages, tokens);
            let mut history = History::default();
            for (question, answer) in &said {
                history.push(question.as_str().into(), answer.as_str().into(), &bounds);
                prop_assert!(history.exchanges.len() * 2 <= messages);
                prop_assert!(history.exchanges.iter().map(|e| e.tokens).sum::<u64>() <= tokens);
            }
            let system = system.map(PrivateText::from);
            let question = PrivateText::from(question);
            let fixed: u64 = [system.as_ref(), Some(&question)].into_iter().flatten().map(|t| quarter_of_chars(t)).sum();
            match history.prompt(system.as_ref(), &question, &bounds) {
                None => prop_assert!(fixed > tokens),
                Some(turns) => {
                    prop_assert!(turns.len() <= messages);
                    prop_assert!(turns.iter().map(|turn| quarter_of_chars(&turn.text)).sum::<u64>() <= tokens);
                    prop_assert_eq!(&turns.last().expect("a question").text, &question);
                    prop_assert_eq!(turns[0].role == Role::System, system.is_some());
                    let said = &turns[usize::from(system.is_some())..];
                    for (n, turn) in said.iter().enumerate() {
                        prop_assert_eq!(turn.role, if n % 2 == 0 { Role::User } else { Role::Assistant });
                    }
                }
            }
        }
    }
}
