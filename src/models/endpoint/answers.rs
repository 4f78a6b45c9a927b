//! Where the answers of each API say what we want to know.

use super::Endpoint;
use super::scan::Paths;

/// What an answer says at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Model,
    Tier,
    RequestId,
    /// A piece of output.
    Text,
    /// A piece of thinking; some servers give it twice, under both names.
    Thinking,
    ThinkingAgain,
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
    CacheWrite,
    CacheWriteLong,
    Reasoning,
    /// Input beside the prompt: what tools gave (Gemini).
    ToolPrompt,
}

use Said::*;

/// The paths of this endpoint's answers, streamed and whole.
pub(super) fn paths(endpoint: Endpoint) -> Paths<Said> {
    match endpoint {
        Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Embeddings => OPENAI,
        Endpoint::Responses => RESPONSES,
        Endpoint::Messages | Endpoint::MessagesCountTokens => ANTHROPIC,
        Endpoint::GenerateContent
        | Endpoint::StreamGenerateContent
        | Endpoint::EmbedContent
        | Endpoint::CountTokens => GEMINI,
        Endpoint::OllamaChat | Endpoint::OllamaGenerate | Endpoint::OllamaEmbed => OLLAMA,
        Endpoint::Other => &[],
    }
}

const OPENAI: Paths<Said> = &[
    (&["model"], Model),
    (&["service_tier"], Tier),
    (&["choices"], Choice),
    (&["choices", "index"], Index),
    (&["choices", "finish_reason"], Finish),
    (&["choices", "text"], Text),
    (&["choices", "delta", "content"], Text),
    (&["choices", "delta", "content", "text"], Text),
    (&["choices", "delta", "refusal"], Text),
    (&["choices", "delta", "reasoning_content"], Thinking),
    (&["choices", "delta", "reasoning"], ThinkingAgain),
    (&["choices", "delta", "tool_calls", "function", "name"], Text),
    (&["choices", "delta", "tool_calls", "function", "arguments", "**"], Text),
    (&["choices", "delta", "function_call", "arguments"], Text),
    (&["choices", "delta", "audio", "transcript"], Text),
    (&["choices", "message", "content"], Text),
    (&["choices", "message", "content", "text"], Text),
    (&["choices", "message", "refusal"], Text),
    (&["choices", "message", "reasoning_content"], Thinking),
    (&["choices", "message", "reasoning"], ThinkingAgain),
    (&["choices", "message", "tool_calls", "function", "name"], Text),
    (&["choices", "message", "tool_calls", "function", "arguments", "**"], Text),
    (&["choices", "message", "function_call", "arguments"], Text),
    (&["choices", "message", "audio", "transcript"], Text),
    (&["data"], Known),
    (&["usage"], Usage),
    (&["usage", "prompt_tokens"], Prompt),
    (&["usage", "completion_tokens"], Completion),
    (&["usage", "total_tokens"], Total),
    (&["usage", "prompt_tokens_details", "cached_tokens"], Cached),
    (&["usage", "prompt_tokens_details", "cache_write_tokens"], CacheWrite),
    (&["usage", "completion_tokens_details", "reasoning_tokens"], Reasoning),
    (&["error"], Error),
];

/// Of what is streamed only `delta` is text: the other events say it again.
const RESPONSES: Paths<Said> = &[
    (&["type"], Type),
    (&["delta"], Text),
    (&["error"], Error),
    (&["response", "model"], Model),
    (&["response", "service_tier"], Tier),
    (&["response", "status"], Status),
    (&["response", "error"], Error),
    (&["response", "incomplete_details", "reason"], Finish),
    (&["response", "output", "type"], ItemType),
    (&["response", "usage"], Usage),
    (&["response", "usage", "input_tokens"], Prompt),
    (&["response", "usage", "output_tokens"], Completion),
    (&["response", "usage", "total_tokens"], Total),
    (&["response", "usage", "input_tokens_details", "cached_tokens"], Cached),
    (&["response", "usage", "input_tokens_details", "cache_write_tokens"], CacheWrite),
    (&["response", "usage", "output_tokens_details", "reasoning_tokens"], Reasoning),
    (&["model"], Model),
    (&["service_tier"], Tier),
    (&["status"], Status),
    (&["incomplete_details", "reason"], Finish),
    (&["output"], Known),
    (&["output", "type"], ItemType),
    (&["output", "content", "text"], Text),
    (&["output", "content", "refusal"], Text),
    (&["output", "summary", "text"], Text),
    (&["output", "arguments"], Text),
    (&["output", "input"], Text),
    (&["output", "code"], Text),
    (&["usage"], Usage),
    (&["usage", "input_tokens"], Prompt),
    (&["usage", "output_tokens"], Completion),
    (&["usage", "total_tokens"], Total),
    (&["usage", "input_tokens_details", "cached_tokens"], Cached),
    (&["usage", "input_tokens_details", "cache_write_tokens"], CacheWrite),
    (&["usage", "output_tokens_details", "reasoning_tokens"], Reasoning),
];

/// The output count of `message_start` is a place-holder: it is not wanted.
const ANTHROPIC: Paths<Said> = &[
    (&["type"], Type),
    (&["error"], Error),
    (&["message", "model"], Model),
    (&["message", "usage"], Usage),
    (&["message", "usage", "service_tier"], Tier),
    (&["message", "usage", "input_tokens"], Prompt),
    (&["message", "usage", "cache_read_input_tokens"], Cached),
    (&["message", "usage", "cache_creation_input_tokens"], CacheWrite),
    (&["message", "usage", "cache_creation", "ephemeral_1h_input_tokens"], CacheWriteLong),
    (&["content_block", "name"], Text),
    (&["delta", "text"], Text),
    (&["delta", "thinking"], Text),
    (&["delta", "partial_json"], Text),
    (&["delta", "stop_reason"], Finish),
    (&["model"], Model),
    (&["content", "text"], Text),
    (&["content", "thinking"], Text),
    (&["content", "name"], Text),
    (&["content", "input", "**"], Text),
    (&["stop_reason"], Finish),
    (&["usage"], Usage),
    (&["usage", "service_tier"], Tier),
    (&["usage", "input_tokens"], Prompt),
    (&["usage", "cache_read_input_tokens"], Cached),
    (&["usage", "cache_creation_input_tokens"], CacheWrite),
    (&["usage", "cache_creation", "ephemeral_1h_input_tokens"], CacheWriteLong),
    (&["usage", "output_tokens"], Completion),
    (&["usage", "output_tokens_details", "thinking_tokens"], Reasoning),
];

const GEMINI: Paths<Said> = &[
    (&["modelVersion"], Model),
    (&["responseId"], RequestId),
    (&["candidates"], Choice),
    (&["candidates", "index"], Index),
    (&["candidates", "finishReason"], Finish),
    (&["candidates", "content", "parts", "text"], Text),
    (&["candidates", "content", "parts", "functionCall", "name"], Text),
    (&["candidates", "content", "parts", "functionCall", "args", "**"], Text),
    (&["candidates", "content", "parts", "executableCode", "code"], Text),
    (&["promptFeedback", "blockReason"], Finish),
    (&["embedding"], Known),
    (&["embeddings"], Known),
    (&["usageMetadata"], Usage),
    (&["usageMetadata", "promptTokenCount"], Prompt),
    (&["usageMetadata", "toolUsePromptTokenCount"], ToolPrompt),
    (&["usageMetadata", "cachedContentTokenCount"], Cached),
    (&["usageMetadata", "candidatesTokenCount"], Completion),
    (&["usageMetadata", "thoughtsTokenCount"], Reasoning),
    (&["usageMetadata", "totalTokenCount"], Total),
    (&["error"], Error),
];

const OLLAMA: Paths<Said> = &[
    (&["model"], Model),
    (&["remote_model"], Remote),
    (&["remote_host"], Remote),
    (&["message"], Known),
    (&["message", "content"], Text),
    (&["message", "thinking"], Text),
    (&["message", "tool_calls"], ItemType),
    (&["message", "tool_calls", "function", "name"], Text),
    (&["message", "tool_calls", "function", "arguments", "**"], Text),
    (&["response"], Text),
    (&["thinking"], Text),
    (&["tool_calls"], ItemType),
    (&["embedding"], Known),
    (&["embeddings"], Known),
    (&["done"], Done),
    (&["done_reason"], Finish),
    (&["prompt_eval_count"], Prompt),
    (&["prompt_eval_cached_count"], Cached),
    (&["eval_count"], Completion),
    (&["error"], Error),
];
