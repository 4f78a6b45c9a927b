//! Answers of the model APIs as they come over the wire, each with what it used. Composed for these tests.

/// An answer, and what must be read from it.
#[derive(Clone, Copy, Debug)]
pub struct Scripted {
    /// What it shows.
    pub name: &'static str,
    /// The path that gives it, below the provider's URL.
    pub path: &'static str,
    /// The body, with LF.
    pub body: &'static str,
    /// Input and output tokens as reported; `None` where the answer does not say.
    pub tokens: (Option<u64>, Option<u64>),
    /// Cached, written to a cache, reasoning.
    pub slices: (Option<u64>, Option<u64>, Option<u64>),
    /// The model that served.
    pub model: Option<&'static str>,
    /// Whether it reached its end.
    pub complete: bool,
    /// Whether it tells of an error within itself.
    pub error: bool,
}

const PLAIN: Scripted = Scripted {
    name: "",
    path: "/v1/chat/completions",
    body: "",
    tokens: (None, None),
    slices: (None, None, None),
    model: Some("gpt-4o-mini-2024-07-18"),
    complete: true,
    error: false,
};

/// OpenAI's chat completions, streamed with usage.
pub const CHAT: Scripted = Scripted {
    name: "chat completions with usage",
    body: "data: {\"id\":\"chatcmpl-A1\",\"object\":\"chat.completion.chunk\",\"created\":1795341600,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"x9\"}\n\ndata: {\"id\":\"chatcmpl-A1\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\u{e9}llo \\u2615\"},\"finish_reason\":null}],\"usage\":null}\n\ndata: {\"id\":\"chatcmpl-A1\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\ndata: {\"id\":\"chatcmpl-A1\",\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"choices\":[],\"usage\":{\"prompt_tokens\":2006,\"completion_tokens\":300,\"total_tokens\":2306,\"prompt_tokens_details\":{\"cached_tokens\":1920,\"cache_write_tokens\":64,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":200}}}\n\ndata: [DONE]\n\n",
    tokens: (Some(2006), Some(300)),
    slices: (Some(1920), Some(64), Some(200)),
    ..PLAIN
};

/// Usage not asked for.
pub const CHAT_WITHOUT_USAGE: Scripted = Scripted {
    name: "chat completions without usage",
    body: "data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ..PLAIN
};

/// Every answer of this module.
pub const ALL: &[Scripted] = &[
    CHAT,
    CHAT_WITHOUT_USAGE,
    Scripted {
        name: "Moonshot: cached input beside the counts",
        path: "/v1/chat/completions",
        body: "data: {\"model\":\"kimi-k3\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":21,\"total_tokens\":40,\"cached_tokens\":10}}\n\ndata: [DONE]\n\n",
        tokens: (Some(19), Some(21)),
        slices: (Some(10), None, None),
        model: Some("kimi-k3"),
        ..PLAIN
    },
    Scripted {
        name: "Moonshot: usage within the last choice",
        path: "/v1/chat/completions",
        body: "data: {\"model\":\"kimi-k3\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":null}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\",\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":21,\"total_tokens\":40}}]}\n\ndata: [DONE]\n\n",
        tokens: (Some(19), Some(21)),
        slices: (None, None, None),
        model: Some("kimi-k3"),
        ..PLAIN
    },
    Scripted {
        name: "DeepSeek: cached input by its other name",
        path: "/v1/chat/completions",
        body: "{\"model\":\"deepseek-chat\",\"choices\":[{\"index\":0,\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1204,\"completion_tokens\":9,\"total_tokens\":1213,\"prompt_cache_hit_tokens\":1024,\"prompt_cache_miss_tokens\":180,\"prompt_tokens_details\":{\"cached_tokens\":0}}}",
        tokens: (Some(1204), Some(9)),
        slices: (Some(1024), None, None),
        model: Some("deepseek-chat"),
        ..PLAIN
    },
    Scripted {
        name: "usage on every chunk is the last, no [DONE]",
        body: ": keep-alive\n\ndata: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1,\"total_tokens\":10}}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n",
        tokens: (Some(9), Some(2)),
        ..PLAIN
    },
    Scripted {
        name: "usage null, then hostile, then thinking that only the total shows",
        body: "data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":\"7\",\"total_tokens\":9223372036854775808}}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":20,\"completion_tokens\":198,\"total_tokens\":623}}\n\ndata: [DONE]\n\n",
        tokens: (Some(20), Some(603)),
        ..PLAIN
    },
    Scripted {
        name: "an error within the stream",
        body: "data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\ndata: {\"error\":{\"message\":\"m\",\"type\":\"server_error\",\"code\":null}}\n\n",
        complete: false,
        error: true,
        ..PLAIN
    },
    Scripted {
        name: "cut before the end",
        body: "data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"}}]}\n\n",
        complete: false,
        ..PLAIN
    },
    Scripted {
        name: "a whole chat completion",
        body: "{\"id\":\"chatcmpl-A1\",\"object\":\"chat.completion\",\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\n \"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hello\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\n \"usage\":{\"prompt_tokens\":2006,\"completion_tokens\":300,\"total_tokens\":2306,\"prompt_tokens_details\":{\"cached_tokens\":1920}}}\n",
        tokens: (Some(2006), Some(300)),
        slices: (Some(1920), None, None),
        ..PLAIN
    },
    Scripted {
        name: "completions, streamed",
        path: "/v1/completions",
        body: "data: {\"model\":\"m\",\"choices\":[{\"text\":\"once\",\"index\":0,\"finish_reason\":null}]}\n\ndata: {\"model\":\"m\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"length\"}]}\n\ndata: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":16,\"total_tokens\":19}}\n\ndata: [DONE]\n\n",
        tokens: (Some(3), Some(16)),
        model: Some("m"),
        ..PLAIN
    },
    Scripted {
        name: "embeddings",
        path: "/v1/embeddings",
        body: "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,\"embedding\":[0.1,-2e-3]}],\"model\":\"text-embedding-3-small\",\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}",
        tokens: (Some(8), Some(0)),
        model: Some("text-embedding-3-small"),
        ..PLAIN
    },
    Scripted {
        name: "responses, streamed, completed",
        path: "/v1/responses",
        body: "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\",\"error\":null,\"model\":\"gpt-5.6-luna\",\"output\":[],\"usage\":null}}\n\nevent: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}\n\nevent: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"text\":\"Hello\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"error\":null,\"incomplete_details\":null,\"model\":\"gpt-5.6-luna\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hello\"}]}],\"usage\":{\"input_tokens\":36,\"input_tokens_details\":{\"cached_tokens\":4,\"cache_write_tokens\":0},\"output_tokens\":87,\"output_tokens_details\":{\"reasoning_tokens\":64},\"total_tokens\":123}}}\n\n",
        tokens: (Some(36), Some(87)),
        slices: (Some(4), Some(0), Some(64)),
        model: Some("gpt-5.6-luna"),
        ..PLAIN
    },
    Scripted {
        name: "responses, streamed, incomplete, and a [DONE]",
        path: "/v1/responses",
        body: "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}\n\nevent: response.incomplete\ndata: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"model\":\"gpt-5.6-luna\",\"usage\":{\"input_tokens\":36,\"output_tokens\":16,\"total_tokens\":52}}}\n\ndata: [DONE]\n\n",
        tokens: (Some(36), Some(16)),
        model: Some("gpt-5.6-luna"),
        ..PLAIN
    },
    Scripted {
        name: "responses, streamed, failed",
        path: "/v1/responses",
        body: "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"m\"},\"model\":\"gpt-5.6-luna\",\"usage\":null}}\n\n",
        model: Some("gpt-5.6-luna"),
        complete: false,
        error: true,
        ..PLAIN
    },
    Scripted {
        name: "responses, a bare error",
        path: "/v1/responses",
        body: "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\",\"param\":null,\"sequence_number\":3}\n\n",
        model: None,
        complete: false,
        error: true,
        ..PLAIN
    },
    Scripted {
        name: "responses, only response.done",
        path: "/v1/responses",
        body: "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}\n\ndata: {\"type\":\"response.done\",\"response\":{\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":2}}}\n\n",
        tokens: (Some(3), Some(2)),
        model: Some("m"),
        ..PLAIN
    },
    Scripted {
        name: "a whole response",
        path: "/v1/responses",
        body: "{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"error\":null,\"incomplete_details\":null,\"model\":\"gpt-5.6-luna\",\"output\":[{\"type\":\"message\",\"status\":\"completed\",\"content\":[{\"type\":\"output_text\",\"text\":\"Hello\"}]}],\"usage\":{\"input_tokens\":36,\"output_tokens\":87,\"output_tokens_details\":{\"reasoning_tokens\":64},\"total_tokens\":123}}",
        tokens: (Some(36), Some(87)),
        slices: (None, None, Some(64)),
        model: Some("gpt-5.6-luna"),
        ..PLAIN
    },
    Scripted {
        name: "a response that is yet to be made",
        path: "/v1/responses",
        body: "{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"queued\",\"error\":null,\"model\":\"gpt-5.6-luna\",\"output\":[],\"usage\":null}",
        model: Some("gpt-5.6-luna"),
        ..PLAIN
    },
    Scripted {
        name: "messages, streamed, two message_delta, the input raised by tools",
        path: "/v1/messages",
        body: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-haiku-5-5\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":10,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null},\"usage\":{\"output_tokens\":7}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":30,\"cache_read_input_tokens\":null,\"output_tokens\":15,\"output_tokens_details\":{\"thinking_tokens\":9}}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        tokens: (Some(45), Some(15)),
        slices: (Some(5), Some(10), Some(9)),
        model: Some("claude-haiku-5-5"),
        ..PLAIN
    },
    Scripted {
        name: "messages, a last word that says zero of the input",
        path: "/v1/messages",
        body: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-haiku-5-5\",\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":10,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":0,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":15}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        tokens: (Some(40), Some(15)),
        slices: (Some(5), Some(10), None),
        model: Some("claude-haiku-5-5"),
        ..PLAIN
    },
    Scripted {
        name: "messages, an input guessed at the beginning that was all in the cache",
        path: "/v1/messages",
        body: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-haiku-5-5\",\"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null},\"usage\":{\"input_tokens\":0,\"cache_read_input_tokens\":20,\"output_tokens\":15}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":16}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        tokens: (Some(20), Some(16)),
        slices: (Some(20), None, None),
        model: Some("claude-haiku-5-5"),
        ..PLAIN
    },
    Scripted {
        name: "messages, cache writes told only by how long they are kept",
        path: "/v1/messages",
        body: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-haiku-5-5\",\"usage\":{\"input_tokens\":25,\"cache_creation\":{\"ephemeral_5m_input_tokens\":7,\"ephemeral_1h_input_tokens\":3},\"output_tokens\":1}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        tokens: (Some(35), Some(15)),
        slices: (None, Some(7), None),
        model: Some("claude-haiku-5-5"),
        ..PLAIN
    },
    Scripted {
        name: "messages, a conversation compacted on the way",
        path: "/v1/messages",
        body: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-haiku-5-5\",\"usage\":{\"input_tokens\":23000,\"output_tokens\":1}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":23000,\"output_tokens\":1000,\"iterations\":[{\"type\":\"compaction\",\"input_tokens\":180000,\"cache_read_input_tokens\":5,\"output_tokens\":3500},{\"input_tokens\":23000,\"output_tokens\":1000,\"type\":\"message\"},{\"input_tokens\":7,\"output_tokens\":7,\"type\":\"advisor_message\"},{\"output_tokens\":30,\"input_tokens\":200,\"cache_creation_input_tokens\":9,\"type\":\"compaction\"}]}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        tokens: (Some(203_214), Some(4_530)),
        slices: (Some(5), Some(9), None),
        model: Some("claude-haiku-5-5"),
        ..PLAIN
    },
    Scripted {
        name: "a whole message, a conversation compacted on the way",
        path: "/v1/messages",
        body: "{\"type\":\"message\",\"model\":\"claude-haiku-5-5\",\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}],\"stop_reason\":\"end_turn\",\"usage\":{\"iterations\":[{\"type\":\"compaction\",\"input_tokens\":180000,\"cache_read_input_tokens\":5,\"output_tokens\":3500},{\"input_tokens\":23000,\"output_tokens\":1000,\"type\":\"message\"},{\"input_tokens\":7,\"output_tokens\":7,\"type\":\"advisor_message\"},{\"output_tokens\":30,\"input_tokens\":200,\"cache_creation_input_tokens\":9,\"type\":\"compaction\"}],\"input_tokens\":23000,\"cache_read_input_tokens\":10,\"output_tokens\":1000}}",
        tokens: (Some(203_224), Some(4_530)),
        slices: (Some(15), Some(9), None),
        model: Some("claude-haiku-5-5"),
        ..PLAIN
    },
    Scripted {
        name: "messages, an error after the beginning",
        path: "/v1/messages",
        body: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-haiku-5-5\",\"usage\":{\"input_tokens\":25,\"output_tokens\":8}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\",\"details\":null},\"request_id\":\"req_1\"}\n\n",
        tokens: (Some(25), None),
        model: Some("claude-haiku-5-5"),
        complete: false,
        error: true,
        ..PLAIN
    },
    Scripted {
        name: "a whole message",
        path: "/v1/messages",
        body: "{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-haiku-5-5\",\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\n \"usage\":{\"input_tokens\":24,\"cache_creation_input_tokens\":4401,\"cache_read_input_tokens\":0,\"cache_creation\":{\"ephemeral_5m_input_tokens\":401,\"ephemeral_1h_input_tokens\":4000},\n \"output_tokens\":2501,\"output_tokens_details\":{\"thinking_tokens\":2000},\"service_tier\":\"standard\",\"server_tool_use\":{\"web_search_requests\":0}}}",
        tokens: (Some(4425), Some(2501)),
        slices: (Some(0), Some(401), Some(2000)),
        model: Some("claude-haiku-5-5"),
        ..PLAIN
    },
    Scripted {
        name: "Gemini, events, counts on every chunk",
        path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        body: "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"Hel\"}]},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":20,\"candidatesTokenCount\":90,\"thoughtsTokenCount\":405,\"totalTokenCount\":515},\"modelVersion\":\"gemini-2.5-flash\",\"responseId\":\"r1\"}\n\ndata: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"lo\"}]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":20,\"candidatesTokenCount\":198,\"totalTokenCount\":628,\"toolUsePromptTokenCount\":5,\"cachedContentTokenCount\":7},\"modelVersion\":\"gemini-2.5-flash\"}\n\n",
        tokens: (Some(25), Some(603)),
        slices: (Some(7), None, Some(405)),
        model: Some("gemini-2.5-flash"),
        ..PLAIN
    },
    Scripted {
        name: "Gemini, a list, counts on the last element",
        path: "/v1beta/models/gemini-1.5-flash:streamGenerateContent",
        body: "[{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"Hello\"}]}}],\"usageMetadata\":{\"promptTokenCount\":20,\"totalTokenCount\":20},\"modelVersion\":\"gemini-1.5-flash\"}\n,\r\n{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" you\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":20,\"candidatesTokenCount\":3,\"totalTokenCount\":23}}\n]\n",
        tokens: (Some(20), Some(3)),
        model: Some("gemini-1.5-flash"),
        ..PLAIN
    },
    Scripted {
        name: "Gemini, cut before the counts of output",
        path: "/v1beta/models/gemini-1.5-flash:streamGenerateContent",
        body: "[{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"Hello\"}]}}],\"usageMetadata\":{\"promptTokenCount\":20,\"totalTokenCount\":20},\"modelVersion\":\"gemini-1.5-flash\"}\n",
        tokens: (Some(20), None),
        model: Some("gemini-1.5-flash"),
        complete: false,
        ..PLAIN
    },
    Scripted {
        name: "Gemini, the prompt blocked",
        path: "/v1beta/models/gemini-2.5-flash:generateContent",
        body: "{\"promptFeedback\":{\"blockReason\":\"SAFETY\"},\"usageMetadata\":{\"promptTokenCount\":20,\"totalTokenCount\":20},\"modelVersion\":\"gemini-2.5-flash\"}",
        tokens: (Some(20), Some(0)),
        model: Some("gemini-2.5-flash"),
        ..PLAIN
    },
    Scripted {
        name: "Gemini, an error in a list",
        path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        body: "[{\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
        model: None,
        complete: false,
        error: true,
        ..PLAIN
    },
    Scripted {
        name: "interactions, streamed",
        path: "/v1beta/interactions",
        body: "event: interaction.created\ndata: {\"event_type\":\"interaction.created\",\"interaction\":{\"id\":\"int_1\",\"object\":\"interaction\",\"model\":\"gemini-3-flash-preview\",\"status\":\"in_progress\"}}\n\nevent: step.delta\ndata: {\"event_type\":\"step.delta\",\"index\":0,\"delta\":{\"type\":\"thought_summary\",\"content\":{\"type\":\"text\",\"text\":\"hm\"}}}\n\nevent: step.delta\ndata: {\"event_type\":\"step.delta\",\"index\":1,\"delta\":{\"type\":\"text\",\"text\":\"Hello\"}}\n\nevent: interaction.completed\ndata: {\"event_type\":\"interaction.completed\",\"interaction\":{\"id\":\"int_1\",\"model\":\"gemini-3-flash-preview\",\"status\":\"completed\",\"usage\":{\"total_input_tokens\":7,\"total_cached_tokens\":4,\"total_output_tokens\":23,\"total_thought_tokens\":49,\"total_tool_use_tokens\":10,\"total_tokens\":89,\"input_tokens_by_modality\":[{\"modality\":\"text\",\"tokens\":7}]}}}\n\nevent: done\ndata: [DONE]\n\n",
        tokens: (Some(17), Some(72)),
        slices: (Some(4), None, Some(49)),
        model: Some("gemini-3-flash-preview"),
        ..PLAIN
    },
    Scripted {
        name: "a whole interaction",
        path: "/v1beta/interactions",
        body: "{\"id\":\"int_1\",\"object\":\"interaction\",\"model\":\"gemini-3-flash-preview\",\"status\":\"requires_action\",\"steps\":[{\"type\":\"thought\"},{\"type\":\"function_call\",\"name\":\"f\",\"arguments\":{\"a\":1}}],\"usage\":{\"total_input_tokens\":7,\"total_output_tokens\":23,\"total_thought_tokens\":0,\"total_tokens\":30}}",
        tokens: (Some(7), Some(23)),
        slices: (None, None, Some(0)),
        model: Some("gemini-3-flash-preview"),
        ..PLAIN
    },
    Scripted {
        name: "Gemini, vectors without counts",
        path: "/v1beta/models/gemini-embedding-001:batchEmbedContents",
        body: "{\"embeddings\":[{\"values\":[0.1,0.2]},{\"values\":[]}]}",
        model: None,
        ..PLAIN
    },
    Scripted {
        name: "Ollama's chat",
        path: "/api/chat",
        body: "{\"model\":\"gemma3:4b\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":false}\n{\"model\":\"gemma3:4b\",\"message\":{\"role\":\"assistant\",\"content\":\"H\u{e9}l\"},\"done\":false}\n{\"model\":\"gemma3:4b\",\"message\":{\"role\":\"assistant\",\"content\":\"lo\"},\"done\":false}\n{\"model\":\"gemma3:4b\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"total_duration\":812345678,\"prompt_eval_count\":26,\"prompt_eval_cached_count\":20,\"eval_count\":2}\n",
        tokens: (Some(26), Some(2)),
        slices: (Some(20), None, None),
        model: Some("gemma3:4b"),
        ..PLAIN
    },
    Scripted {
        name: "Ollama without prompt_eval_count, and no newline at the end",
        path: "/api/chat",
        body: "{\"model\":\"m\",\"message\":{\"content\":\"Hi\"},\"done\":false}\n{\"model\":\"m\",\"done_reason\":\"stop\",\"eval_count\":2}",
        tokens: (None, Some(2)),
        model: Some("m"),
        ..PLAIN
    },
    Scripted {
        name: "Ollama's guard against repetition",
        path: "/api/chat",
        body: "{\"model\":\"m\",\"message\":{\"content\":\"ha ha\"},\"done\":false}",
        model: Some("m"),
        complete: false,
        ..PLAIN
    },
    Scripted {
        name: "Ollama's error within the stream",
        path: "/api/generate",
        body: "{\"model\":\"m\",\"response\":\"Hi\",\"done\":false}\n{\"error\":\"llama runner process has terminated\"}\n",
        model: Some("m"),
        complete: false,
        error: true,
        ..PLAIN
    },
    Scripted {
        name: "Ollama's generate with its context",
        path: "/api/generate",
        body: "{\"model\":\"m\",\"response\":\"Hi\",\"done\":false}\n{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"context\":[1,2,3],\"prompt_eval_count\":5,\"eval_count\":1}\n",
        tokens: (Some(5), Some(1)),
        model: Some("m"),
        ..PLAIN
    },
    Scripted {
        name: "Ollama only loads a model",
        path: "/api/generate",
        body: "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"load\"}",
        tokens: (Some(0), Some(0)),
        model: Some("m"),
        ..PLAIN
    },
    Scripted {
        name: "Ollama's vectors",
        path: "/api/embed",
        body: "{\"model\":\"nomic\",\"embeddings\":[[0.1,0.2]],\"total_duration\":14143917,\"prompt_eval_count\":8}",
        tokens: (Some(8), Some(0)),
        model: Some("nomic"),
        ..PLAIN
    },
    Scripted {
        name: "Ollama's old vectors, without counts",
        path: "/api/embeddings",
        body: "{\"embedding\":[0.1,0.2]}",
        model: None,
        ..PLAIN
    },
];
