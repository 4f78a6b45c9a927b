//! The contract of every message: its name, the fields it takes, and samples of them as JSON.
//!
//! A field that a caller leaves out counts as absent (`null`), so a new optional field breaks nobody.
//! Money is a decimal text in US dollars, a time is RFC 3339 text, spans carry their unit in the name.

use std::collections::BTreeMap;

use minijinja::value::Value;

use super::budget_messages::{
    BUDGET_LINES, BUDGETS_FIELDS, BUDGETS_SAMPLES, CHANGED_FIELDS, CHANGED_SAMPLES, COST_FIELDS, COST_SAMPLES,
    MISTAKE_FIELDS, MISTAKE_SAMPLES, REFUSED_FIELDS, REFUSED_SAMPLES,
};

/// One message (or a family of them) and what it takes.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Its name; a name that ends in `/` stands for every template in that folder.
    pub name: &'static str,
    /// The fields it takes.
    pub fields: &'static [&'static str],
    /// Contexts that between them reach every branch.
    pub samples: &'static [&'static str],
}

/// What every error message takes: whose model failed, and when to try again if the provider said so.
const ERROR_FIELDS: &[&str] = &["kind", "http_status", "retry_in_seconds", "provider", "model", "local", "demo"];
const ERROR_SAMPLES: &[&str] = &[
    r#"{"kind":"other","provider":"cloud","model":"gpt-4o","local":false,"demo":false,"http_status":429,"retry_in_seconds":20}"#,
    r#"{"kind":"other","provider":null,"model":null,"local":null,"demo":null,"http_status":null,"retry_in_seconds":null}"#,
];

/// What one answer used: shown below it and by `/cost`.
const USED_FIELDS: &[&str] = &[
    "provider",
    "model",
    "local",
    "demo",
    "prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "total_tokens",
    "estimated",
    "cost_usd",
    "latency_ms",
];
const USED_SAMPLES: &[&str] = &[
    r#"{"provider":"ollama","model":"llama3.2","local":true,"demo":false,"prompt_tokens":150,"cached_tokens":null,"completion_tokens":320,"total_tokens":470,"estimated":false,"cost_usd":"0","latency_ms":2450}"#,
    r#"{"provider":"cloud","model":"gpt-4o","local":false,"demo":false,"prompt_tokens":1500,"cached_tokens":1200,"completion_tokens":320,"total_tokens":1820,"estimated":true,"cost_usd":"0.00695","latency_ms":450}"#,
    r#"{"provider":"cloud","model":"new-model","local":false,"demo":false,"prompt_tokens":150,"cached_tokens":null,"completion_tokens":320,"total_tokens":470,"estimated":false,"cost_usd":null,"latency_ms":900}"#,
    r#"{"provider":null,"model":null,"local":null,"demo":null,"prompt_tokens":null,"cached_tokens":null,"completion_tokens":null,"total_tokens":null,"estimated":null,"cost_usd":null,"latency_ms":null}"#,
];

/// The screen of `/stats` as `reports` prepares it.
const STATS_FIELDS: &[&str] = &[
    "bot",
    "period",
    "view",
    "status",
    "now",
    "uptime_seconds",
    "counting_since",
    "last_request_at",
    "timezone",
    "demo",
    "providers",
    "requests",
    "latency",
    "rows",
    "total_row",
    "cached",
    "reasoning",
    "estimated",
    "cost",
    "limits",
    "more_limits",
    "types",
    "errors",
    "models",
    "more_models",
    "conversations",
    "epoch",
    "imported",
];

const STATS_FULL: &str = r#"{"bot":"Raymundo","period":"today","view":"VIEW","status":"ok","now":"2026-11-22T14:03:20-06:00",
"uptime_seconds":192840,"counting_since":"2026-11-03T09:00:00-06:00","last_request_at":"2026-11-22T14:02:20-06:00",
"timezone":"America/Mexico_City","demo":true,
"providers":[{"name":"github","kind":"openai","plan":"free","local":false,"demo":false},{"name":"ollama","kind":"ollama","plan":null,"local":true,"demo":false}],
"requests":{"total":250,"ok":244,"failed":3,"cancelled":2,"refused":1,"success_rate":0.988},
"latency":{"p50":1800,"p95":6200},
"rows":[{"place":"local","prompt":31020,"completion":14210,"approximate":false},{"place":"cloud","prompt":96300,"completion":32150,"approximate":true}],
"total_row":{"prompt":127320,"completion":46360,"approximate":true},"cached":1200,"reasoning":800,"estimated":500,
"cost":{"usd":"0.41","estimated":true,"unpriced_requests":2,"unpriced_models":1,"all_local":false},
"limits":[{"name":"github","subject":"*","limit":"requests_per_day","used":112,"reserved":1,"max":150,"raised_by":0,"paused":false,"stopped":false,"share":0.747,"resets_at":"2026-11-22T18:00:00-06:00","resets_in_seconds":14200,"observed":{"limit":150,"remaining":37}}],
"more_limits":1,"types":[{"name":"chat","count":240,"share":0.96},{"name":"recipes","count":10,"share":0.04}],
"errors":[{"name":"idle_timeout","count":2},{"name":"rate_limited","count":1}],
"models":[{"name":"gpt-4o","provider":"github","shares_name":true,"local":false,"requests":61,"ok":58,"failed":3,"success_rate":0.95,"prompt":96300,"completion":32150,"total":128450,"estimated":true,"cost_usd":"0.41","unpriced_requests":2,"imported":{"requests":9,"tokens":1200}}],
"more_models":1,"conversations":{"active":5,"messages":124,"users":3},
"epoch":{"number":1,"count":3,"begin":"2026-11-03T09:00:00-06:00","end":"2026-11-12T10:00:00-06:00"},"imported":{"requests":9,"tokens":1200}}"#;

const STATS_EMPTY: &str = r#"{"bot":"Raymundo","period":"all","view":"VIEW","status":"stopped","now":"2026-11-22T14:03:20-06:00",
"uptime_seconds":null,"counting_since":null,"last_request_at":null,"timezone":null,"demo":false,"providers":[],
"requests":{"total":0,"ok":0,"failed":0,"cancelled":0,"refused":0,"success_rate":null},"latency":null,"rows":[],
"total_row":null,"cached":0,"reasoning":0,"estimated":0,"cost":{"usd":"0","estimated":false,"unpriced_requests":0,"unpriced_models":0,"all_local":false},
"limits":[],"more_limits":0,"types":[],"errors":[],"models":[],"more_models":0,
"conversations":{"active":0,"messages":0,"users":0},
"epoch":{"number":0,"count":1,"begin":null,"end":null},"imported":{"requests":0,"tokens":0}}"#;

const MODEL_USE: &str = r#"{"model":{"name":"gpt-4o","provider":"github","shares_name":true,"local":false,"requests":61,"ok":58,"failed":3,
"success_rate":0.95,"prompt":96300,"completion":32150,"total":128450,"estimated":true,"cost_usd":"0.41","unpriced_requests":2,
"imported":{"requests":9,"tokens":1200}}}"#;
const LIMIT_USE: &str = r#"{"limit":{"name":"github","subject":"*","limit":"requests_per_day","used":112,"reserved":1,"max":150,
"raised_by":20,"paused":true,"stopped":true,"share":0.747,"resets_at":"2026-11-22T18:00:00-06:00","resets_in_seconds":14200,"observed":{"limit":150,"remaining":37}},
"now":"2026-11-22T14:03:20-06:00"}"#;
const LEVELS: &str = r#"{"limits":[{"name":"github","own":null,"full":true,"back_in_seconds":25200},
{"name":"everything","own":"user","full":true,"back_in_seconds":null},{"name":"everything","own":"team","full":false,"back_in_seconds":null},
{"name":"everything","own":null,"full":false,"back_in_seconds":null}]}"#;

/// A line of a table: `line` is what a person, or a person's calls of one model, used. Of its tokens and its cost some
/// may be estimates; `unpriced_requests` are in no cost.
const USE_SAMPLES: &[&str] = &[
    r#"{"line":{"name":"Ana","requests":61,"tokens":128450,"estimated":true,"cost_usd":"0.41","cost_estimated":true,"unpriced_requests":1,"share":0.74}}"#,
    r#"{"line":{"name":"gpt-4o","requests":1,"tokens":12,"estimated":false,"cost_usd":"0","cost_estimated":false,"unpriced_requests":0}}"#,
    r#"{"line":{"name":"new","requests":2,"tokens":9,"estimated":false,"cost_usd":null,"cost_estimated":false,"unpriced_requests":2,"share":null}}"#,
];

/// One person's own screen; `since` is the last reset, `view` the part that is asked for. `models` are lines of
/// `part/use`. `limits` holds only those that are full or nearly so, without numbers: `name`, `own` (`user` or `team`
/// when it is the person's or the group's alone), `full`, `back_in_seconds`. `last_error` is their own: `kind`, `at`.
/// `reading` says that the books are still being read.
const OWN_FIELDS: &[&str] = &[
    "bot",
    "period",
    "since",
    "view",
    "status",
    "uptime_seconds",
    "requests",
    "failed",
    "prompt",
    "completion",
    "tokens",
    "estimated",
    "cost_usd",
    "cost_estimated",
    "unpriced_requests",
    "budget_left_usd",
    "models",
    "more_models",
    "reading",
    "limits",
    "last_error",
    "now",
];
const OWN_SAMPLES: &[&str] = &[
    r#"{"bot":"Raymundo","period":"today","since":null,"view":"overview","status":"ok","uptime_seconds":192840,"requests":12,
"failed":2,"prompt":9630,"completion":3215,"tokens":12845,"estimated":true,"cost_usd":"0.41","cost_estimated":true,
"unpriced_requests":2,"budget_left_usd":"0.59","models":[],"more_models":0,"reading":false,"limits":[{"name":"github",
"own":null,"full":true,"back_in_seconds":25200},{"name":"lab","own":null,"full":false,"back_in_seconds":null},
{"name":"everything","own":"user","full":false,"back_in_seconds":null}],"last_error":{"kind":"total_timeout",
"at":"2026-11-22T13:03:20-06:00"},"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"bot":"Raymundo","period":"7d","since":null,"view":"models","status":"ok","uptime_seconds":60,"requests":1,
"failed":0,"prompt":9,"completion":3,"tokens":12,"estimated":false,"cost_usd":"0","cost_estimated":false,
"unpriced_requests":0,"budget_left_usd":null,"models":[{"name":"llama3.2","requests":1,"tokens":12,"estimated":false,
"cost_usd":"0","cost_estimated":false,"unpriced_requests":0}],"more_models":1,"reading":false,"limits":[],
"last_error":null,"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"bot":"Raymundo","period":"7d","since":null,"view":"overview","status":"degraded","uptime_seconds":60,"requests":1,
"failed":0,"prompt":9,"completion":3,"tokens":12,"estimated":false,"cost_usd":null,"cost_estimated":false,
"unpriced_requests":1,"budget_left_usd":null,"models":[],"more_models":0,"reading":true,"limits":[],"last_error":null,
"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"bot":"Raymundo","period":"all","since":null,"view":"overview","status":"ok","uptime_seconds":5,"requests":0,
"failed":0,"prompt":0,"completion":0,"tokens":0,"estimated":false,"cost_usd":"0","cost_estimated":false,
"unpriced_requests":0,"budget_left_usd":null,"models":[],"more_models":0,"reading":false,"limits":[],
"last_error":null,"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"bot":"Raymundo","period":"all","since":"2026-11-03T09:00:00-06:00","view":"limits","status":"ok","uptime_seconds":5,
"requests":0,"failed":0,"prompt":0,"completion":0,"tokens":0,"estimated":false,"cost_usd":"0","cost_estimated":false,
"unpriced_requests":0,"budget_left_usd":null,"models":[],"more_models":0,"reading":false,"limits":[],
"last_error":null,"now":"2026-11-22T14:03:20-06:00"}"#,
];

/// A group's screen: its totals alone, no cost and no names. `limits` and `since` as on a person's own screen; `types`
/// are `name` and `count`.
const GROUP_FIELDS: &[&str] = &[
    "bot",
    "period",
    "since",
    "view",
    "status",
    "uptime_seconds",
    "requests",
    "prompt",
    "completion",
    "estimated",
    "types",
    "limits",
];
const GROUP_SAMPLES: &[&str] = &[
    r#"{"bot":"Raymundo","period":"30d","since":null,"view":"overview","status":"ok","uptime_seconds":192840,"requests":124,
"prompt":96300,"completion":32150,"estimated":true,"types":[{"name":"chat","count":124}],"limits":[{"name":"github",
"own":null,"full":true,"back_in_seconds":25200},{"name":"everything","own":"team","full":false,
"back_in_seconds":null}]}"#,
    r#"{"bot":"Raymundo","period":"all","since":"2026-11-03T09:00:00-06:00","view":"types","status":"ok","uptime_seconds":5,
"requests":3,"prompt":9,"completion":3,"estimated":false,"types":[{"name":"chat","count":2},{"name":"vision",
"count":1}],"limits":[]}"#,
    r#"{"bot":"Raymundo","period":"all","since":null,"view":"limits","status":"ok","uptime_seconds":5,"requests":0,
"prompt":0,"completion":0,"estimated":false,"types":[],"limits":[]}"#,
    r#"{"bot":"Raymundo","period":"all","since":null,"view":"overview","status":"ok","uptime_seconds":5,"requests":0,
"prompt":0,"completion":0,"estimated":false,"types":[],"limits":[]}"#,
];

/// Who used how much, for admins: the first `people` by tokens as lines of `part/use`, `more` others (`more_estimated`
/// when their number is) with the `rest`, and `nobody`, which no person asked for, each with `requests` and `tokens`;
/// and the totals of all of it.
const USERS_FIELDS: &[&str] = &[
    "bot",
    "period",
    "since",
    "status",
    "uptime_seconds",
    "people",
    "more",
    "more_estimated",
    "rest",
    "nobody",
    "requests",
    "tokens",
    "estimated",
    "reading",
];
const USERS_SAMPLES: &[&str] = &[
    r#"{"bot":"Raymundo","period":"today","since":null,"status":"ok","uptime_seconds":192840,"people":[{"name":"Ana",
"requests":61,"tokens":128450,"estimated":true,"cost_usd":"0.41","cost_estimated":true,"unpriced_requests":0,
"share":0.74},{"name":"222","requests":1,"tokens":12,"estimated":false,"cost_usd":"0","cost_estimated":false,
"unpriced_requests":0,"share":0.0001},{"name":"Luis","requests":2,"tokens":9,"estimated":false,"cost_usd":null,
"cost_estimated":false,"unpriced_requests":2,"share":0.0001}],"more":3,"more_estimated":false,"rest":{"requests":180,
"tokens":45000},"nobody":{"requests":3,"tokens":209},"requests":247,"tokens":173680,"estimated":true,"reading":false}"#,
    r#"{"bot":"Raymundo","period":"30d","since":null,"status":"ok","uptime_seconds":192840,"people":[{"name":"Ana",
"requests":1,"tokens":12,"estimated":false,"cost_usd":"0.41","cost_estimated":false,"unpriced_requests":0,
"share":0.0002}],"more":260000,"more_estimated":true,"rest":{"requests":260000,"tokens":520000},
"nobody":{"requests":0,"tokens":0},"requests":260001,"tokens":520012,"estimated":false,"reading":true}"#,
    r#"{"bot":"Raymundo","period":"all","since":"2026-11-03T09:00:00-06:00","status":"ok","uptime_seconds":5,"people":[],
"more":0,"more_estimated":false,"rest":{"requests":0,"tokens":0},"nobody":{"requests":3,"tokens":209},"requests":3,
"tokens":209,"estimated":false,"reading":false}"#,
    r#"{"bot":"Raymundo","period":"all","since":null,"status":"ok","uptime_seconds":5,"people":[],"more":0,
"more_estimated":false,"rest":{"requests":0,"tokens":0},"nobody":{"requests":0,"tokens":0},"requests":0,"tokens":0,
"estimated":false,"reading":false}"#,
];

/// How the bot and what it needs are: for admins.
const HEALTH_FIELDS: &[&str] = &[
    "version",
    "uptime_seconds",
    "disk_free_bytes",
    "disk_total_bytes",
    "ledger_ok",
    "ledger_trouble",
    "records_waiting",
    "providers",
    "places",
    "large_prompts",
    "last_error",
    "now",
];
const HEALTH_SAMPLES: &[&str] = &[
    r#"{"version":"0.1.0","uptime_seconds":192840,"disk_free_bytes":12400000000,"disk_total_bytes":100000000000,
"ledger_ok":true,"ledger_trouble":null,"records_waiting":0,"providers":[{"name":"ollama","ok":true,"local":true,"error":null}],
"places":[{"name":"webhook","failing_since":null,"waiting":0,"dropped":0}],"large_prompts":2,
"last_error":null,"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"version":"0.1.0","uptime_seconds":null,"disk_free_bytes":null,"disk_total_bytes":null,
"ledger_ok":false,"ledger_trouble":"no space left on device","records_waiting":3,
"providers":[{"name":"cloud","ok":false,"local":false,"error":"connect"},{"name":"lab","ok":true,"local":null,"error":null}],
"places":[{"name":"mail","failing_since":"2026-11-22T13:03:20-06:00","waiting":4,"dropped":1}],"large_prompts":0,
"last_error":{"kind":"rate_limited","at":"2026-11-21T14:03:20-06:00"},"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"version":"0.1.0","uptime_seconds":5,"disk_free_bytes":1,"disk_total_bytes":2,"ledger_ok":false,"ledger_trouble":null,
"records_waiting":1,"providers":[],"places":[],"large_prompts":1,"last_error":null,"now":"2026-11-22T14:03:20-06:00"}"#,
];

const MODEL_LIST: &str = r#"{"current":{"provider":"ollama","model":"llama3.2","local":true,"demo":false},
"models":[{"number":1,"provider":"ollama","model":"llama3.2","local":true,"demo":false,"current":true},
{"number":2,"provider":"cloud","model":"gpt-4o","local":false,"demo":false,"current":false},
{"number":3,"provider":"demo","model":"demo","local":true,"demo":true,"current":false}],"more":7,"silent":["lab","home"]}"#;

/// Every message.
pub const MESSAGES: &[Message] = &[
    Message {
        name: "part/status",
        fields: &["status", "uptime_seconds"],
        samples: &[r#"{"status":"ok","uptime_seconds":60}"#, r#"{"status":"stopped","uptime_seconds":null}"#],
    },
    Message { name: "part/requests", fields: STATS_FIELDS, samples: &[STATS_FULL, STATS_EMPTY] },
    Message { name: "part/spent", fields: STATS_FIELDS, samples: &[STATS_FULL, STATS_EMPTY] },
    Message { name: "part/model_use", fields: &["model"], samples: &[MODEL_USE] },
    Message { name: "part/limit_use", fields: &["limit", "now"], samples: &[LIMIT_USE] },
    Message { name: "part/levels", fields: &["limits"], samples: &[LEVELS] },
    Message {
        name: "part/heading",
        fields: &["bot", "period", "since"],
        samples: &[
            r#"{"bot":"Raymundo","period":"today","since":"2026-11-03T09:00:00-06:00"}"#,
            r#"{"bot":"Raymundo","period":"all","since":"2026-11-03T09:00:00-06:00"}"#,
        ],
    },
    Message { name: "part/reading", fields: &["reading"], samples: &[r#"{"reading":true}"#] },
    Message { name: "part/use", fields: &["line"], samples: USE_SAMPLES },
    Message { name: "stats_own", fields: OWN_FIELDS, samples: OWN_SAMPLES },
    Message { name: "stats_group", fields: GROUP_FIELDS, samples: GROUP_SAMPLES },
    Message { name: "stats_users", fields: USERS_FIELDS, samples: USERS_SAMPLES },
    Message { name: "stats_unreadable", fields: &[], samples: &["{}"] },
    Message { name: "stats", fields: STATS_FIELDS, samples: &[STATS_FULL, STATS_EMPTY] },
    Message { name: "stats/", fields: STATS_FIELDS, samples: &[STATS_FULL, STATS_EMPTY] },
    Message {
        name: "help",
        fields: &["bot", "commands"],
        samples: &[
            r#"{"bot":"Raymundo","commands":[{"name":"stats","admin":false},{"name":"reset_stats","admin":true}]}"#,
        ],
    },
    Message {
        name: "welcome",
        fields: &["bot", "admin", "provider", "model", "local", "demo"],
        samples: &[
            r#"{"bot":"Raymundo","admin":false,"provider":"ollama","model":"llama3.2","local":true,"demo":false}"#,
            r#"{"bot":"Raymundo","admin":false,"provider":"cloud","model":"gpt-4o","local":false,"demo":false}"#,
            r#"{"bot":"Raymundo","admin":true,"provider":"demo","model":"demo","local":true,"demo":true}"#,
        ],
    },
    Message { name: "goodbye", fields: &[], samples: &["{}"] },
    Message {
        name: "unknown_command",
        fields: &["word", "suggestion", "misused"],
        samples: &[
            r#"{"word":"/stast","suggestion":"/stats","misused":null}"#,
            r#"{"word":"/x","suggestion":null,"misused":null}"#,
            r#"{"word":"/stats yesterday","suggestion":null,"misused":"stats"}"#,
        ],
    },
    Message {
        name: "id",
        fields: &["id", "chat", "channel", "admin"],
        samples: &[
            r#"{"id":"111","chat":"111","channel":"telegram","admin":false}"#,
            r#"{"id":"111","chat":"-100","channel":"telegram","admin":true}"#,
        ],
    },
    Message { name: "usage_footer", fields: USED_FIELDS, samples: USED_SAMPLES },
    Message { name: "usage_on", fields: &[], samples: &["{}"] },
    Message { name: "usage_off", fields: &[], samples: &["{}"] },
    Message { name: "cost", fields: COST_FIELDS, samples: COST_SAMPLES },
    Message { name: "cost_forgotten", fields: &[], samples: &["{}"] },
    Message { name: "part/budget_line", fields: &["line"], samples: BUDGET_LINES },
    Message { name: "budgets", fields: BUDGETS_FIELDS, samples: BUDGETS_SAMPLES },
    Message { name: "budget_changed", fields: CHANGED_FIELDS, samples: CHANGED_SAMPLES },
    Message { name: "budget_mistake", fields: MISTAKE_FIELDS, samples: MISTAKE_SAMPLES },
    Message { name: "refused_limit", fields: REFUSED_FIELDS, samples: REFUSED_SAMPLES },
    Message {
        name: "waiting",
        fields: &["position", "next_at"],
        samples: &[
            r#"{"position":1,"next_at":"2026-11-22T14:03:20-06:00"}"#,
            r#"{"position":2,"next_at":"2026-11-22T14:03:20-06:00"}"#,
            r#"{"position":3,"next_at":"2026-11-22T14:03:20-06:00"}"#,
            r#"{"position":12,"next_at":"2026-11-22T14:03:20-06:00"}"#,
            r#"{"position":1000,"next_at":"2026-11-22T14:03:20-06:00"}"#,
            r#"{"position":1,"next_at":null}"#,
        ],
    },
    Message {
        name: "answered_instead",
        fields: &["provider", "model", "local", "demo", "limited", "until", "now"],
        samples: &[
            r#"{"provider":"ollama","model":"llama3.2","local":true,"demo":false,"limited":"cloud","until":"2026-11-22T14:03:20-06:00","now":"2026-11-22T14:02:40-06:00"}"#,
            r#"{"provider":"cloud","model":"gpt-4o","local":false,"demo":false,"limited":null,"until":null,"now":"2026-11-22T14:02:40-06:00"}"#,
        ],
    },
    Message { name: "busy", fields: &[], samples: &["{}"] },
    Message {
        name: "too_long",
        fields: &["tokens", "max_tokens"],
        samples: &[r#"{"tokens":50000,"max_tokens":32000}"#],
    },
    Message { name: "cut_off", fields: &[], samples: &["{}"] },
    Message { name: "cancelled", fields: &[], samples: &["{}"] },
    Message { name: "nothing_to_cancel", fields: &[], samples: &["{}"] },
    Message { name: "retry_nothing", fields: &[], samples: &["{}"] },
    Message { name: "interrupted_hint", fields: &[], samples: &["{}"] },
    Message { name: "new_conversation", fields: &[], samples: &["{}"] },
    Message {
        name: "reset_confirm",
        fields: &["command", "code", "valid_seconds"],
        samples: &[r#"{"command":"/reset_stats confirm","code":"confirm","valid_seconds":60}"#],
    },
    Message {
        name: "reset_done",
        fields: &["counting_since"],
        samples: &[r#"{"counting_since":"2026-11-22T14:03:20-06:00"}"#],
    },
    Message {
        name: "reset_undone",
        fields: &["counting_since"],
        samples: &[r#"{"counting_since":"2026-11-03T09:00:00-06:00"}"#],
    },
    Message { name: "reset_nothing_to_undo", fields: &[], samples: &["{}"] },
    Message { name: "reset_kept", fields: &[], samples: &["{}"] },
    Message { name: "reset_denied", fields: &["id"], samples: &[r#"{"id":"111"}"#] },
    Message {
        name: "model_list",
        fields: &["current", "models", "more", "silent"],
        samples: &[MODEL_LIST, r#"{"current":{},"models":[],"more":0,"silent":[]}"#],
    },
    Message {
        name: "model_switched",
        fields: &["provider", "model", "local", "demo"],
        samples: &[
            r#"{"provider":"cloud","model":"gpt-4o","local":false,"demo":false}"#,
            r#"{"provider":"ollama","model":"llama3.2","local":true,"demo":false}"#,
            r#"{"provider":"demo","model":"demo","local":true,"demo":true}"#,
        ],
    },
    Message {
        name: "model_unknown",
        fields: &["wanted", "suggestion"],
        samples: &[r#"{"wanted":"gpt4","suggestion":"gpt-4o"}"#, r#"{"wanted":"x","suggestion":null}"#],
    },
    Message { name: "lang_switched", fields: &["lang"], samples: &[r#"{"lang":"en"}"#] },
    Message {
        name: "lang_unknown",
        fields: &["wanted", "lang", "languages"],
        samples: &[
            r#"{"wanted":"de","lang":"en","languages":["en","es","pt","fr"]}"#,
            r#"{"wanted":null,"lang":"en","languages":["en","es","pt","fr"]}"#,
        ],
    },
    Message { name: "queued", fields: &["position"], samples: &[r#"{"position":1}"#, r#"{"position":12}"#] },
    Message { name: "queue_full", fields: &["waiting"], samples: &[r#"{"waiting":1}"#, r#"{"waiting":20}"#] },
    Message { name: "restarted", fields: &[], samples: &["{}"] },
    Message { name: "stopped", fields: &[], samples: &["{}"] },
    Message {
        name: "stranger",
        fields: &["id", "admin_hint"],
        samples: &[r#"{"id":"111","admin_hint":"@ana"}"#, r#"{"id":"111","admin_hint":null}"#],
    },
    Message { name: "group_stranger", fields: &["id"], samples: &[r#"{"id":"-1001234567890"}"#] },
    Message { name: "claim_done", fields: &["bot"], samples: &[r#"{"bot":"Raymundo"}"#] },
    Message { name: "claim_wrong", fields: &[], samples: &["{}"] },
    Message { name: "claim_over", fields: &[], samples: &["{}"] },
    Message { name: "paired", fields: &["bot"], samples: &[r#"{"bot":"Raymundo"}"#] },
    Message { name: "pairing_wrong", fields: &[], samples: &["{}"] },
    Message { name: "code_wait", fields: &["retry_in_seconds"], samples: &[r#"{"retry_in_seconds":2400}"#] },
    Message { name: "id_expected", fields: &["command"], samples: &[r#"{"command":"/allow"}"#] },
    Message { name: "private_only", fields: &[], samples: &["{}"] },
    Message {
        name: "allow_link",
        fields: &["link", "valid_minutes"],
        samples: &[r#"{"link":"https://t.me/raymundo_bot?start=AbC-12_x","valid_minutes":60}"#],
    },
    Message {
        name: "allowed",
        fields: &["id", "group"],
        samples: &[r#"{"id":"111","group":false}"#, r#"{"id":"-1001234567890","group":true}"#],
    },
    Message { name: "already_allowed", fields: &["id"], samples: &[r#"{"id":"111"}"#] },
    Message { name: "denied", fields: &["id"], samples: &[r#"{"id":"111"}"#] },
    Message { name: "not_listed", fields: &["id"], samples: &[r#"{"id":"111"}"#] },
    Message { name: "configured", fields: &["id"], samples: &[r#"{"id":"111"}"#] },
    Message {
        name: "allow_list",
        fields: &["people", "groups"],
        samples: &[
            r#"{"people":[{"id":"111","role":"admin","by_config":true},{"id":"222","role":"user","by_config":false}],"groups":[{"id":"-1001234567890","by_config":false}]}"#,
            r#"{"people":[],"groups":[]}"#,
        ],
    },
    Message { name: "admin_only", fields: &[], samples: &["{}"] },
    Message { name: "unsupported", fields: &[], samples: &["{}"] },
    Message { name: "photo_too_large", fields: &["max_mb"], samples: &[r#"{"max_mb":10}"#] },
    Message { name: "photo_failed", fields: &[], samples: &["{}"] },
    Message {
        name: "no_vision",
        fields: &["provider", "model", "local", "demo"],
        samples: &[r#"{"provider":"ollama","model":"llama3.2","local":true,"demo":false}"#],
    },
    Message { name: "press_foreign", fields: &[], samples: &["{}"] },
    Message { name: "press_old", fields: &[], samples: &["{}"] },
    Message { name: "health", fields: HEALTH_FIELDS, samples: HEALTH_SAMPLES },
    Message { name: "alert", fields: super::alerts::FIELDS, samples: super::alerts::SAMPLES },
    Message {
        name: "alert_done",
        fields: &["done", "scope", "limit", "max", "max_usd", "resets_at", "now"],
        samples: &[
            r#"{"done":"raise","scope":"team:sales","limit":"tokens_per_day","max":120000,"max_usd":null,"resets_at":"2026-11-23T00:00:00-06:00","now":"2026-11-22T14:03:20-06:00"}"#,
            r#"{"done":"stop","scope":null,"limit":"tokens_per_day","max":null,"max_usd":"5","resets_at":null,"now":"2026-11-22T14:03:20-06:00"}"#,
            r#"{"done":"mute","scope":"cloud","limit":"requests_per_day","max":150,"max_usd":null,"resets_at":"2026-11-23T00:00:00-06:00","now":"2026-11-22T14:03:20-06:00"}"#,
            r#"{"done":"raise","scope":null,"limit":"tokens_per_day","max":null,"max_usd":"6","resets_at":null,"now":"2026-11-22T14:03:20-06:00"}"#,
        ],
    },
    Message { name: "error/", fields: ERROR_FIELDS, samples: ERROR_SAMPLES },
];

/// The message a template belongs to.
pub fn message(name: &str) -> Option<&'static Message> {
    let exact = MESSAGES.iter().find(|message| message.name == name);
    exact.or_else(|| MESSAGES.iter().find(|message| message.name.ends_with('/') && name.starts_with(message.name)))
}

/// The samples of a template as contexts; the screen of several views is sampled in each.
pub(super) fn samples(name: &str) -> Vec<serde_json::Value> {
    let texts = message(name).map_or(&[][..], |message| message.samples);
    let views: Vec<&str> = if name == "stats" { views().collect() } else { vec!["overview"] };
    let shown = texts.iter().flat_map(|text| match text.contains("\"VIEW\"") {
        true => views.iter().map(|view| text.replace("VIEW", view)).collect(),
        false => vec![(*text).to_owned()],
    });
    shown.map(|text| serde_json::from_str(&text).expect("a test reads every sample")).collect()
}

/// The views of a screen: a template each.
fn views() -> impl Iterator<Item = &'static str> {
    super::source::names().filter_map(|name| name.strip_prefix("stats/"))
}

/// The context with every field of the message that it leaves out set to absent.
pub(super) fn with_absent_fields(name: &str, context: Value) -> Value {
    let fields = message(name).map_or(&[][..], |message| message.fields);
    let given = |field: &str| context.get_attr(field).ok().filter(|value| !value.is_undefined());
    let filled: BTreeMap<&str, Value> =
        fields.iter().map(|field| (*field, given(field).unwrap_or_else(|| Value::from(())))).collect();
    Value::from(filled)
}
