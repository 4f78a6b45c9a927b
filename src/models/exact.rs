//! Exact token counts, where a model's vocabulary is built in: for what is recorded as an estimate.
//!
//! Never to be asked at admission: the first count of a vocabulary loads it, which takes a while and 46 MB.

use crate::usage::TOKENS_PER_MESSAGE;

/// What a chat template adds once, for the answer to begin.
const TOKENS_PER_PROMPT: u64 = 3;

/// Tokens of the messages of a prompt, with what the chat template adds, and of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExactCounts {
    /// Input.
    pub prompt: u64,
    /// Output.
    pub answer: u64,
}

/// Counts on a thread where that keeps nobody waiting; `None` when the model's vocabulary is not built in. Those of
/// OpenAI's models are, with the Cargo feature `tiktoken`.
///
/// A vendor's prefix, as in `openai/gpt-4o`, is passed over.
pub async fn exact_counts(model: &str, messages: &[&str], answer: &str) -> Option<ExactCounts> {
    let count = counter_for(model.rsplit('/').next().unwrap_or(model))?;
    let (messages, answer) = (messages.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), answer.to_owned());
    let counting = tokio::task::spawn_blocking(move || {
        let prompt = messages.iter().map(|text| count(text).saturating_add(TOKENS_PER_MESSAGE));
        let prompt = prompt.fold(TOKENS_PER_PROMPT, u64::saturating_add);
        ExactCounts { prompt, answer: count(&answer) }
    });
    counting.await.ok()
}

#[cfg(feature = "tiktoken")]
fn counter_for(model: &str) -> Option<impl Fn(&str) -> u64 + Send + 'static + use<>> {
    let vocabulary = tiktoken_rs::tokenizer::get_tokenizer(model)?;
    Some(move |text: &str| {
        // All of them are in this build.
        tiktoken_rs::bpe_for_tokenizer(vocabulary).map_or(0, |loaded| loaded.encode_ordinary(text).len() as u64)
    })
}

#[cfg(not(feature = "tiktoken"))]
fn counter_for(_model: &str) -> Option<fn(&str) -> u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_prompt_and_an_answer_are_counted_to_the_token_where_the_vocabulary_is_there() {
        // Counts that the vendor published for o200k.
        let hello = "Hello, my name is GPT-4o. I'm a new type of language model, it's nice to meet you!";
        let ola = "Olá, meu nome é GPT-4o. Sou um novo tipo de modelo de linguagem, é um prazer conhecê-lo!";
        let counts = ExactCounts { prompt: 24 + 27 + 2 * TOKENS_PER_MESSAGE + TOKENS_PER_PROMPT, answer: 24 };
        for model in ["gpt-4o", "openai/gpt-4o-mini", "gpt-5.4"] {
            assert_eq!(
                exact_counts(model, &[hello, ola], hello).await,
                cfg!(feature = "tiktoken").then_some(counts),
                "{model}"
            );
        }
        for model in ["llama3.2", "claude-opus-5", "", "meta/llama"] {
            assert_eq!(exact_counts(model, &[hello], hello).await, None, "{model}");
        }
    }
}
