//! Where the answers of each API say what we want to know.

use super::Endpoint;
use super::steps::{Paths, Step, group, leaf, node, root, whole};

/// What an answer says at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Model,
    Tier,
    /// How fast it ran, beside the tier (Anthropic).
    Speed,
    RequestId,
    /// A piece of what is said.
    Text,
    /// A piece of thinking; some servers give it twice, under both names.
    Thinking,
    ThinkingAgain,
    /// A piece of output that nobody is to read: calls of tools, code.
    Aside,
    /// A part of what is said, and whether it is thinking (Gemini).
    Passage,
    IsThought,
    /// One of the answers asked for, and its number.
    Choice,
    Index,
    Finish,
    /// What kind of event it is.
    Type,
    /// What kind of item the model gave.
    ItemType,
    Status,
    Error,
    Done,
    Remote,
    /// This API's, though nothing to learn from.
    Known,
    Usage,
    Prompt,
    Completion,
    Total,
    Cached,
    CachedElsewhere,
    CacheWrite,
    CacheWriteShort,
    CacheWriteLong,
    Reasoning,
    /// One of several rounds that a message took (Anthropic), and its counts.
    Iteration,
    IterationKind,
    OfIteration(Part),
    /// Input beside the prompt: what tools gave (Gemini).
    ToolPrompt,
}

/// A count of one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Input,
    Output,
    Read,
    Written,
    WrittenShort,
    WrittenLong,
    Thought,
}

use Said::*;

const NOTHING: Step<Said> = root(&[]);

/// The paths of this endpoint's answers, streamed and whole.
pub(super) fn paths(endpoint: Endpoint) -> Paths<Said> {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings => &OPENAI,
        Endpoint::Responses | Endpoint::ResponsesInputTokens => &RESPONSES,
        Endpoint::Messages | Endpoint::MessagesCountTokens => &ANTHROPIC,
        Endpoint::GenerateContent
        | Endpoint::StreamGenerateContent
        | Endpoint::EmbedContent
        | Endpoint::CountTokens => &GEMINI,
        Endpoint::Interactions => &INTERACTIONS,
        Endpoint::OllamaChat | Endpoint::OllamaGenerate | Endpoint::OllamaEmbed => &OLLAMA,
        Endpoint::Other => &NOTHING,
    }
}

/// What a model says, whole or a piece of it.
const MESSAGE: &[Step<Said>] = &[
    node("content", Text, &[leaf("text", Text)]),
    leaf("refusal", Text),
    leaf("reasoning_content", Thinking),
    leaf("reasoning", ThinkingAgain),
    group("tool_calls", &[group("function", &[leaf("name", Aside), whole("arguments", Aside)])]),
    group("function_call", &[leaf("arguments", Aside)]),
    group("audio", &[leaf("transcript", Aside)]),
];

/// Of what was cached some servers tell elsewhere: Moonshot beside the counts, DeepSeek there by a name of its own.
const USED: &[Step<Said>] = &[
    leaf("prompt_tokens", Prompt),
    leaf("completion_tokens", Completion),
    leaf("total_tokens", Total),
    leaf("cached_tokens", CachedElsewhere),
    leaf("prompt_cache_hit_tokens", CachedElsewhere),
    group("prompt_tokens_details", &[leaf("cached_tokens", Cached), leaf("cache_write_tokens", CacheWrite)]),
    group("completion_tokens_details", &[leaf("reasoning_tokens", Reasoning)]),
];

const OPENAI: Step<Said> = root(&[
    leaf("model", Model),
    leaf("service_tier", Tier),
    node(
        "choices",
        Choice,
        &[
            leaf("index", Index),
            leaf("finish_reason", Finish),
            leaf("text", Text),
            group("delta", MESSAGE),
            group("message", MESSAGE),
            node("usage", Usage, USED), // Moonshot, where it is not asked for
        ],
    ),
    leaf("data", Known),
    node("usage", Usage, USED),
    leaf("error", Error),
]);

const COUNTED: &[Step<Said>] = &[
    leaf("input_tokens", Prompt),
    leaf("output_tokens", Completion),
    leaf("total_tokens", Total),
    group("input_tokens_details", &[leaf("cached_tokens", Cached), leaf("cache_write_tokens", CacheWrite)]),
    group("output_tokens_details", &[leaf("reasoning_tokens", Reasoning)]),
];

/// Of what is streamed only `delta` is text: the other events say it again.
const RESPONSES: Step<Said> = root(&[
    leaf("type", Type),
    leaf("delta", Text),
    leaf("error", Error),
    group(
        "response",
        &[
            leaf("model", Model),
            leaf("service_tier", Tier),
            leaf("status", Status),
            leaf("error", Error),
            group("incomplete_details", &[leaf("reason", Finish)]),
            group("output", &[leaf("type", ItemType)]),
            node("usage", Usage, COUNTED),
        ],
    ),
    leaf("model", Model),
    leaf("service_tier", Tier),
    leaf("status", Status),
    group("incomplete_details", &[leaf("reason", Finish)]),
    node(
        "output",
        Known,
        &[
            leaf("type", ItemType),
            group("content", &[leaf("text", Text), leaf("refusal", Text)]),
            group("summary", &[leaf("text", Text)]),
            leaf("arguments", Text),
            leaf("input", Text),
            leaf("code", Text),
        ],
    ),
    node("usage", Usage, COUNTED),
]);

/// What was written to Anthropic's cache, by how long it is kept.
const WRITTEN: &[Step<Said>] =
    &[leaf("ephemeral_5m_input_tokens", CacheWriteShort), leaf("ephemeral_1h_input_tokens", CacheWriteLong)];

const ITERATION: &[Step<Said>] = &[
    leaf("type", IterationKind),
    leaf("input_tokens", OfIteration(Part::Input)),
    leaf("cache_read_input_tokens", OfIteration(Part::Read)),
    leaf("cache_creation_input_tokens", OfIteration(Part::Written)),
    group(
        "cache_creation",
        &[
            leaf("ephemeral_5m_input_tokens", OfIteration(Part::WrittenShort)),
            leaf("ephemeral_1h_input_tokens", OfIteration(Part::WrittenLong)),
        ],
    ),
    leaf("output_tokens", OfIteration(Part::Output)),
    group("output_tokens_details", &[leaf("thinking_tokens", OfIteration(Part::Thought))]),
];

/// The output count of `message_start` is a place-holder: it is not wanted.
const ANTHROPIC: Step<Said> = root(&[
    leaf("type", Type),
    leaf("error", Error),
    group(
        "message",
        &[
            leaf("model", Model),
            node(
                "usage",
                Usage,
                &[
                    leaf("service_tier", Tier),
                    leaf("speed", Speed),
                    leaf("input_tokens", Prompt),
                    leaf("cache_read_input_tokens", Cached),
                    leaf("cache_creation_input_tokens", CacheWrite),
                    group("cache_creation", WRITTEN),
                ],
            ),
        ],
    ),
    group("content_block", &[leaf("text", Text), leaf("thinking", Thinking), leaf("name", Aside)]),
    group(
        "delta",
        &[leaf("text", Text), leaf("thinking", Thinking), leaf("partial_json", Aside), leaf("stop_reason", Finish)],
    ),
    leaf("model", Model),
    group("content", &[leaf("text", Text), leaf("thinking", Thinking), leaf("name", Aside), whole("input", Aside)]),
    leaf("stop_reason", Finish),
    node(
        "usage",
        Usage,
        &[
            leaf("service_tier", Tier),
            leaf("speed", Speed),
            leaf("input_tokens", Prompt),
            leaf("cache_read_input_tokens", Cached),
            leaf("cache_creation_input_tokens", CacheWrite),
            group("cache_creation", WRITTEN),
            leaf("output_tokens", Completion),
            group("output_tokens_details", &[leaf("thinking_tokens", Reasoning)]),
            node("iterations", Iteration, ITERATION),
        ],
    ),
]);

const GEMINI: Step<Said> = root(&[
    leaf("modelVersion", Model),
    leaf("responseId", RequestId),
    node(
        "candidates",
        Choice,
        &[
            leaf("index", Index),
            leaf("finishReason", Finish),
            group(
                "content",
                &[node(
                    "parts",
                    Passage,
                    &[
                        leaf("text", Text),
                        leaf("thought", IsThought),
                        node("functionCall", ItemType, &[leaf("name", Aside), whole("args", Aside)]),
                        group("executableCode", &[leaf("code", Aside)]),
                    ],
                )],
            ),
        ],
    ),
    group("promptFeedback", &[leaf("blockReason", Finish)]),
    leaf("embedding", Known),
    leaf("embeddings", Known),
    node(
        "usageMetadata",
        Usage,
        &[
            leaf("serviceTier", Tier),
            leaf("promptTokenCount", Prompt),
            leaf("toolUsePromptTokenCount", ToolPrompt),
            leaf("cachedContentTokenCount", Cached),
            leaf("candidatesTokenCount", Completion),
            leaf("thoughtsTokenCount", Reasoning),
            leaf("totalTokenCount", Total),
        ],
    ),
    leaf("error", Error),
]);

const INTERACTED: Step<Said> = node(
    "usage",
    Usage,
    &[
        leaf("total_input_tokens", Prompt),
        leaf("total_tool_use_tokens", ToolPrompt),
        leaf("total_cached_tokens", Cached),
        leaf("total_output_tokens", Completion),
        leaf("total_thought_tokens", Reasoning),
        leaf("total_tokens", Total),
    ],
);

/// Of what is streamed only `delta` is text. What was made is in `steps`, of older versions in `outputs` (the types of
/// google-genai 2.34).
const INTERACTIONS: Step<Said> = root(&[
    leaf("event_type", Type),
    group(
        "delta",
        &[leaf("text", Text), leaf("arguments", Aside), node("content", Thinking, &[leaf("text", Thinking)])],
    ),
    leaf("error", Error),
    group("interaction", &[leaf("model", Model), leaf("service_tier", Tier), leaf("status", Status), INTERACTED]),
    leaf("model", Model),
    leaf("service_tier", Tier),
    leaf("status", Status),
    node("steps", Known, &[group("content", &[leaf("text", Text)]), whole("arguments", Aside)]),
    node("outputs", Known, &[leaf("text", Text), whole("arguments", Aside)]),
    INTERACTED,
]);

const OLLAMA: Step<Said> = root(&[
    leaf("model", Model),
    leaf("remote_model", Remote),
    leaf("remote_host", Remote),
    node(
        "message",
        Known,
        &[
            leaf("content", Text),
            leaf("thinking", Thinking),
            node("tool_calls", ItemType, &[group("function", &[leaf("name", Aside), whole("arguments", Aside)])]),
        ],
    ),
    leaf("response", Text),
    leaf("thinking", Thinking),
    leaf("tool_calls", ItemType),
    leaf("embedding", Known),
    leaf("embeddings", Known),
    leaf("done", Done),
    leaf("done_reason", Finish),
    leaf("prompt_eval_count", Prompt),
    leaf("prompt_eval_cached_count", Cached),
    leaf("eval_count", Completion),
    leaf("error", Error),
]);
