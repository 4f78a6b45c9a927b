//! One small answer of every API, as the vendors send it, and what must stand in the books of it.

use tallybot::models::Kind;

/// A question and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Specimen {
    pub name: &'static str,
    pub kind: Kind,
    /// What stands behind `/gateway/{provider}`.
    pub path: &'static str,
    pub request: &'static str,
    pub content_type: &'static str,
    pub answer: &'static str,
    pub operation: &'static str,
    /// The model asked for, and the one that the answer names.
    pub models: (&'static str, &'static str),
    /// Prompt and completion.
    pub tokens: (u64, u64),
}

impl Specimen {
    /// The name of its provider in these tests.
    pub fn provider(&self) -> &'static str {
        match self.kind {
            Kind::Ollama => "ollama",
            Kind::Anthropic => "claude",
            Kind::Gemini => "google",
            Kind::OpenAi | Kind::Demo => "cloud",
        }
    }
}

pub const JSON: &str = "application/json";
pub const SSE: &str = "text/event-stream";
pub const NDJSON: &str = "application/x-ndjson";

/// The chunk that tells usage, and what stands before and behind it.
pub const CHAT: [&str; 3] = [
    "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\u{e9}y\"},\"finish_reason\":null}],\"usage\":null}\n\n\
     data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n",
    "data: [DONE]\n\n",
];

const CHAT_ASKED: &str = r#"{"model":"gpt-4o-mini","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi?"}]}"#;

/// A chat that is streamed, and does not ask for usage.
pub const CHAT_UNASKED: &str =
    r#"{"model":"gpt-4o-mini", "stream":true, "messages":[{"role":"user","content":"Hi?"}]}"#;

const CHAT_STREAM: &str = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"H\u{e9}y\"},\"finish_reason\":null}],\"usage\":null}\n\n\
     : keep-alive\n\n\
     data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n\
     data: {\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n\
     data: [DONE]\n\n";

const COMPLETIONS_STREAM: &str = "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"model\":\"gpt-3.5-turbo-instruct\",\"choices\":[{\"text\":\"Hey\",\"index\":0,\"finish_reason\":\"stop\"}]}\n\n\
     data: {\"model\":\"gpt-3.5-turbo-instruct\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":3,\"total_tokens\":8}}\n\n\
     data: [DONE]\n\n";

const RESPONSES_STREAM: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"in_progress\",\"model\":\"gpt-5.6-luna\",\"usage\":null}}\n\n\
     event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"H\u{e9}y\"}\n\n\
     event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"object\":\"response\",\"status\":\"completed\",\"model\":\"gpt-5.6-luna\",\"usage\":{\"input_tokens\":36,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":87,\"output_tokens_details\":{\"reasoning_tokens\":64},\"total_tokens\":123}}}\n\n";

const MESSAGES_STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_01\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-haiku-4-5-20251001\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n\
     event: ping\ndata: {\"type\":\"ping\"}\n\n\
     event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"H\u{e9}y\"}}\n\n\
     event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":15}}\n\n\
     event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

const GEMINI_STREAM: &str = "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"H\u{e9}y\"}]},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":20,\"totalTokenCount\":20},\"modelVersion\":\"gemini-2.5-flash\"}\n\n\
     data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"!\"}]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":20,\"candidatesTokenCount\":198,\"thoughtsTokenCount\":405,\"totalTokenCount\":623},\"modelVersion\":\"gemini-2.5-flash\"}\n\n";

const GEMINI_LIST: &str = "[{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"H\u{e9}y\"}]},\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":20,\"totalTokenCount\":20},\"modelVersion\":\"gemini-2.5-flash\"}\n,\n\
     {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"!\"}]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":20,\"candidatesTokenCount\":198,\"thoughtsTokenCount\":405,\"totalTokenCount\":623},\"modelVersion\":\"gemini-2.5-flash\"}\n]";

const OLLAMA_CHAT: &str = "{\"model\":\"gemma3:4b\",\"created_at\":\"2026-11-22T10:00:00.1Z\",\"message\":{\"role\":\"assistant\",\"content\":\"H\u{e9}y\"},\"done\":false}\n\
     {\"model\":\"gemma3:4b\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"total_duration\":812345678,\"prompt_eval_count\":26,\"eval_count\":2}\n";

const OLLAMA_GENERATE: &str = "{\"model\":\"gemma3:4b\",\"response\":\"H\u{e9}y\",\"done\":false}\n\
     {\"model\":\"gemma3:4b\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"context\":[1,2,3],\"prompt_eval_count\":26,\"eval_count\":2}\n";

const OLLAMA_V1: &str = "data: {\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\",\"model\":\"gemma3:4b\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hey\"},\"finish_reason\":null}]}\n\n\
     data: {\"model\":\"gemma3:4b\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
     data: {\"model\":\"gemma3:4b\",\"choices\":[],\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":2,\"total_tokens\":28}}\n\n\
     data: [DONE]\n\n";

const GEMINI_ASKS: &str = r#"{"contents":[{"role":"user","parts":[{"text":"Hi?"}]}]}"#;
const FLASH: (&str, &str) = ("gemini-2.5-flash", "gemini-2.5-flash");
const GEMMA: (&str, &str) = ("gemma3:4b", "gemma3:4b");
const MINI: (&str, &str) = ("gpt-4o-mini", "gpt-4o-mini-2024-07-18");

/// Answers that come in pieces.
pub const STREAMS: [Specimen; 9] = [
    Specimen {
        name: "chat",
        kind: Kind::OpenAi,
        path: "/v1/chat/completions",
        request: CHAT_ASKED,
        content_type: SSE,
        answer: CHAT_STREAM,
        operation: "chat.completions",
        models: MINI,
        tokens: (9, 2),
    },
    Specimen {
        name: "completions",
        kind: Kind::OpenAi,
        path: "/v1/completions",
        request: r#"{"model":"gpt-3.5-turbo-instruct","prompt":"Hi?","stream":true,"stream_options":{"include_usage":true}}"#,
        content_type: SSE,
        answer: COMPLETIONS_STREAM,
        operation: "completions",
        models: ("gpt-3.5-turbo-instruct", "gpt-3.5-turbo-instruct"),
        tokens: (5, 3),
    },
    Specimen {
        name: "responses",
        kind: Kind::OpenAi,
        path: "/v1/responses",
        request: r#"{"model":"gpt-5.6-luna","input":"Hi?","stream":true}"#,
        content_type: SSE,
        answer: RESPONSES_STREAM,
        operation: "responses",
        models: ("gpt-5.6-luna", "gpt-5.6-luna"),
        tokens: (36, 87),
    },
    Specimen {
        name: "messages",
        kind: Kind::Anthropic,
        path: "/v1/messages",
        request: r#"{"model":"claude-haiku-4-5","max_tokens":99,"stream":true,"messages":[{"role":"user","content":"Hi?"}]}"#,
        content_type: "text/event-stream; charset=utf-8",
        answer: MESSAGES_STREAM,
        operation: "messages",
        models: ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        tokens: (28, 15),
    },
    Specimen {
        name: "gemini events",
        kind: Kind::Gemini,
        path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        request: GEMINI_ASKS,
        content_type: SSE,
        answer: GEMINI_STREAM,
        operation: "stream_generate_content",
        models: FLASH,
        tokens: (20, 603),
    },
    Specimen {
        name: "gemini list",
        kind: Kind::Gemini,
        path: "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        request: GEMINI_ASKS,
        content_type: JSON,
        answer: GEMINI_LIST,
        operation: "stream_generate_content",
        models: FLASH,
        tokens: (20, 603),
    },
    Specimen {
        name: "ollama chat",
        kind: Kind::Ollama,
        path: "/api/chat",
        request: r#"{"model":"gemma3:4b","messages":[{"role":"user","content":"Hi?"}]}"#,
        content_type: NDJSON,
        answer: OLLAMA_CHAT,
        operation: "chat",
        models: GEMMA,
        tokens: (26, 2),
    },
    Specimen {
        name: "ollama generate",
        kind: Kind::Ollama,
        path: "/api/generate",
        request: r#"{"model":"gemma3:4b","prompt":"Hi?"}"#,
        content_type: NDJSON,
        answer: OLLAMA_GENERATE,
        operation: "generate",
        models: GEMMA,
        tokens: (26, 2),
    },
    Specimen {
        name: "ollama v1",
        kind: Kind::Ollama,
        path: "/v1/chat/completions",
        request: r#"{"model":"gemma3:4b","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi?"}]}"#,
        content_type: SSE,
        answer: OLLAMA_V1,
        operation: "chat.completions",
        models: GEMMA,
        tokens: (26, 2),
    },
];

/// Answers that come whole.
pub const WHOLE: [Specimen; 9] = [
    Specimen {
        name: "chat",
        kind: Kind::OpenAi,
        path: "/v1/chat/completions",
        request: r#"{ "model" : "gpt-4o-mini", "messages" : [ {"role":"user","content":"Hi?"} ] }"#,
        content_type: JSON,
        answer: r#"{"id":"c1","object":"chat.completion","model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":"Héy"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,"prompt_tokens_details":{"cached_tokens":1920}}}"#,
        operation: "chat.completions",
        models: MINI,
        tokens: (2006, 300),
    },
    Specimen {
        name: "completions",
        kind: Kind::OpenAi,
        path: "/v1/completions",
        request: r#"{"model":"gpt-3.5-turbo-instruct","prompt":"Hi?"}"#,
        content_type: JSON,
        answer: r#"{"id":"cmpl-1","object":"text_completion","model":"gpt-3.5-turbo-instruct","choices":[{"text":"Hey","index":0,"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}"#,
        operation: "completions",
        models: ("gpt-3.5-turbo-instruct", "gpt-3.5-turbo-instruct"),
        tokens: (5, 3),
    },
    Specimen {
        name: "responses",
        kind: Kind::OpenAi,
        path: "/v1/responses",
        request: r#"{"model":"gpt-5.6-luna","input":"Hi?"}"#,
        content_type: JSON,
        answer: r#"{"id":"resp_1","object":"response","status":"completed","error":null,"model":"gpt-5.6-luna","output":[{"type":"message","content":[{"type":"output_text","text":"Hello"}]}],"usage":{"input_tokens":36,"output_tokens":87,"total_tokens":123}}"#,
        operation: "responses",
        models: ("gpt-5.6-luna", "gpt-5.6-luna"),
        tokens: (36, 87),
    },
    Specimen {
        name: "embeddings",
        kind: Kind::OpenAi,
        path: "/v1/embeddings",
        request: r#"{"model":"text-embedding-3-small","input":["a","b"]}"#,
        content_type: JSON,
        answer: r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,-2e-3]}],"model":"text-embedding-3-small","usage":{"prompt_tokens":8,"total_tokens":8}}"#,
        operation: "embeddings",
        models: ("text-embedding-3-small", "text-embedding-3-small"),
        tokens: (8, 0),
    },
    Specimen {
        name: "messages",
        kind: Kind::Anthropic,
        path: "/v1/messages",
        request: r#"{"model":"claude-haiku-4-5","max_tokens":99,"messages":[{"role":"user","content":"Hi?"}]}"#,
        content_type: JSON,
        answer: r#"{"id":"msg_01","type":"message","role":"assistant","model":"claude-haiku-4-5-20251001","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":24,"cache_creation_input_tokens":4401,"cache_read_input_tokens":0,"output_tokens":2501,"service_tier":"standard"}}"#,
        operation: "messages",
        models: ("claude-haiku-4-5", "claude-haiku-4-5-20251001"),
        tokens: (4425, 2501),
    },
    Specimen {
        name: "gemini",
        kind: Kind::Gemini,
        path: "/v1beta/models/gemini-2.5-flash:generateContent",
        request: GEMINI_ASKS,
        content_type: "application/json; charset=UTF-8",
        answer: r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"Hello"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":20,"candidatesTokenCount":198,"thoughtsTokenCount":405,"totalTokenCount":623},"modelVersion":"gemini-2.5-flash","responseId":"r1"}"#,
        operation: "generate_content",
        models: FLASH,
        tokens: (20, 603),
    },
    Specimen {
        name: "ollama chat",
        kind: Kind::Ollama,
        path: "/api/chat",
        request: r#"{"model":"gemma3:4b","stream":false,"messages":[]}"#,
        content_type: JSON,
        answer: r#"{"model":"gemma3:4b","message":{"role":"assistant","content":"Hey"},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":2}"#,
        operation: "chat",
        models: GEMMA,
        tokens: (26, 2),
    },
    Specimen {
        name: "ollama generate",
        kind: Kind::Ollama,
        path: "/api/generate",
        request: r#"{"model":"gemma3:4b","stream":false,"prompt":"Hi?"}"#,
        content_type: JSON,
        answer: r#"{"model":"gemma3:4b","response":"Hey","done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":2}"#,
        operation: "generate",
        models: GEMMA,
        tokens: (26, 2),
    },
    Specimen {
        name: "ollama embed",
        kind: Kind::Ollama,
        path: "/api/embed",
        request: r#"{"model":"gemma3:4b","input":["a"]}"#,
        content_type: JSON,
        answer: r#"{"model":"gemma3:4b","embeddings":[[0.1,0.2]],"total_duration":14143917,"load_duration":1019500,"prompt_eval_count":8}"#,
        operation: "embed",
        models: GEMMA,
        tokens: (8, 0),
    },
];
