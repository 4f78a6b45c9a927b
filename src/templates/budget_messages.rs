//! The contracts of what is said of budgets and costs: fields, and samples that reach every branch.

/// `/cost`: what stands below an answer, whether it is about the answer that is `replied` to, and what is left of the
/// `budgets` it was charged to (lines of `part/budget_line`).
pub(super) const COST_FIELDS: &[&str] = &[
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
    "replied",
    "budgets",
];
pub(super) const COST_SAMPLES: &[&str] = &[
    r#"{"provider":"ollama","model":"llama3.2","local":true,"demo":false,"prompt_tokens":150,"cached_tokens":null,"completion_tokens":320,"total_tokens":470,"estimated":false,"cost_usd":"0","latency_ms":2450,"replied":false,"budgets":[]}"#,
    r#"{"provider":"cloud","model":"gpt-4o","local":false,"demo":false,"prompt_tokens":1500,"cached_tokens":1200,"completion_tokens":320,"total_tokens":1820,"estimated":true,"cost_usd":"0.00695","latency_ms":450,"replied":true,
"budgets":[{"subject":"user:111","own":"user","limit":"usd_per_day","left":3800000000000,"max":5000000000000},{"subject":"provider:cloud","own":null,"limit":"tokens_per_day","left":3800,"max":5000}]}"#,
    r#"{"provider":"cloud","model":"new-model","local":false,"demo":false,"prompt_tokens":150,"cached_tokens":null,"completion_tokens":320,"total_tokens":470,"estimated":false,"cost_usd":null,"latency_ms":900,"replied":true,"budgets":[]}"#,
    r#"{"provider":null,"model":null,"local":null,"demo":null,"prompt_tokens":null,"cached_tokens":null,"completion_tokens":null,"total_tokens":null,"estimated":null,"cost_usd":null,"latency_ms":null,"replied":null,"budgets":null}"#,
];

/// What is left of a budget. Amounts are requests, tokens or pico-dollars, as `limit` says.
const BUDGET_LINE: &str = r#"{"line":{"subject":"user:111","own":"user","limit":"usd_per_day","used":1200000000000,"reserved":0,"max":5000000000000,
"left":3800000000000,"permille":240,"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"raised_by":1000000000000,
"paused":true,"stopped":true,"muted":true,"each":false}}"#;
pub(super) const BUDGET_LINES: &[&str] = &[
    BUDGET_LINE,
    r#"{"line":{"subject":"team:sales","own":"team","limit":"tokens_per_month","used":900,"reserved":10,"max":1000,"left":90,"permille":900,
"resets_at":"2026-12-01T00:00:00-06:00","resets_in_seconds":727000,"raised_by":0,"paused":false,"stopped":false,"muted":false,"each":false}}"#,
    r#"{"line":{"subject":"user:*","own":null,"limit":"usd_prepaid","used":0,"reserved":0,"max":1000000000000,"left":1000000000000,"permille":0,
"resets_at":null,"resets_in_seconds":null,"raised_by":0,"paused":false,"stopped":false,"muted":false,"each":true}}"#,
    r#"{"line":{"subject":"everything","own":null,"limit":"requests_per_week","used":0,"reserved":0,"max":null,"left":null,"permille":0,
"resets_at":null,"resets_in_seconds":null,"raised_by":0,"paused":false,"stopped":false,"muted":false,"each":false}}"#,
];

/// `/budget`: lines of `part/budget_line` with numbers, and `limits` of others without (as for `part/levels`); in a
/// `group` only the latter.
pub(super) const BUDGETS_FIELDS: &[&str] = &["admin", "group", "budgets", "more", "limits", "now"];
pub(super) const BUDGETS_SAMPLES: &[&str] = &[
    r#"{"admin":true,"group":false,"budgets":[{"subject":"team:sales","own":null,"limit":"usd_per_day","used":1200000000000,"reserved":0,
"max":5000000000000,"left":3800000000000,"permille":240,"resets_at":null,"resets_in_seconds":null,"raised_by":0,"paused":false,
"stopped":false,"muted":false,"each":false}],"more":3,"limits":[],"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"admin":false,"group":false,"budgets":[],"more":0,"limits":[{"name":"github","own":null,"full":true,"back_in_seconds":25200}],"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"admin":true,"group":false,"budgets":[],"more":0,"limits":[],"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"admin":false,"group":true,"budgets":[],"more":0,"limits":[],"now":"2026-11-22T14:03:20-06:00"}"#,
];

/// A change of a budget: `deed` is `set`, `unlimited`, `raised`, `paused`, `resumed`, `stopped`, `muted` or `removed`;
/// `before` and `after` are missing where there is no end; `remark` is `not_seen`, `not_spoken` or nothing.
pub(super) const CHANGED_FIELDS: &[&str] =
    &["deed", "subject", "limit", "before", "after", "used", "full", "resets_at", "resets_in_seconds", "remark", "now"];
pub(super) const CHANGED_SAMPLES: &[&str] = &[
    r#"{"deed":"set","subject":"team:sales","limit":"usd_per_day","before":null,"after":5000000000000,"used":6200000000000,"full":true,
"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"remark":"not_seen","now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"deed":"raised","subject":"user:111","limit":"tokens_per_day","before":1000,"after":1200,"used":90,"full":false,
"resets_at":null,"resets_in_seconds":null,"remark":"not_spoken","now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"deed":"paused","subject":"everything","limit":"usd_prepaid","before":1,"after":1,"used":null,"full":false,
"resets_at":null,"resets_in_seconds":null,"remark":null,"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"deed":"resumed","subject":"everything","limit":"usd_per_day","before":1,"after":1,"used":null,"full":false,
"resets_at":null,"resets_in_seconds":null,"remark":null,"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"deed":"stopped","subject":"everything","limit":"usd_per_day","before":1,"after":1,"used":null,"full":false,
"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"remark":null,"now":"2026-11-22T14:03:20-06:00"}"#,
    r#"{"deed":"muted","subject":"everything","limit":"usd_per_day","before":1,"after":1,"used":null,"full":false,
"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"remark":null,"now":"2026-11-22T14:03:20-06:00"}"#,
];

/// Why no budget was changed: `problem` with the `word` it is about; the `choices` are limits, `typed` what stands
/// before each.
pub(super) const MISTAKE_FIELDS: &[&str] = &["problem", "word", "suggestion", "typed", "choices"];
pub(super) const MISTAKE_SAMPLES: &[&str] = &[
    r#"{"problem":"word","word":"colour","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"whose","word":"","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"how_much","word":"","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"of_what","word":"200k","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"how_long","word":"$5","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"no_money_per_minute","word":"$5","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"two_ways","word":"1,500","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"not_whole","word":"1.5","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"too_much","word":"$99999999","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"unknown","word":"clod","suggestion":"cloud","typed":null,"choices":[]}"#,
    r#"{"problem":"person","word":"ana","suggestion":null,"typed":null,"choices":[]}"#,
    r#"{"problem":"which","word":"","suggestion":null,"typed":"/budget user:111 +20%","choices":["tokens_per_day","usd_per_day"]}"#,
    r#"{"problem":"no_budget","word":"","suggestion":null,"typed":"/budget team:it","choices":[]}"#,
    r#"{"problem":"no_cap","word":"","suggestion":null,"typed":"/budget team:it","choices":[]}"#,
    r#"{"problem":"nothing","word":"","suggestion":null,"typed":"/budget team:it","choices":[]}"#,
    r#"{"problem":"too_many","word":"team:it","suggestion":null,"typed":null,"choices":[]}"#,
];

/// A limit that said no: `own` is `user` or `team`, `scope` what it is about beside that. `learned` is the provider's own
/// word; `held`: only answers under way are in the way; `raise` is what an admin types to raise it.
pub(super) const REFUSED_FIELDS: &[&str] = &[
    "limit",
    "scope",
    "own",
    "used",
    "max",
    "figures",
    "resets_at",
    "resets_in_seconds",
    "now",
    "never_fits",
    "learned",
    "stopped",
    "held",
    "local_model",
    "raise",
];
pub(super) const REFUSED_SAMPLES: &[&str] = &[
    r#"{"limit":"requests_per_minute","scope":"provider:cloud","own":null,"used":15,"max":15,"figures":true,"resets_at":"2026-11-22T14:03:40-06:00","resets_in_seconds":20,"now":"2026-11-22T14:03:20-06:00","never_fits":false,"learned":false,"stopped":false,"held":false,"local_model":"llama3.2","raise":null}"#,
    r#"{"limit":"usd_per_day","scope":null,"own":"user","used":4980000000000,"max":5000000000000,"figures":true,"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"now":"2026-11-22T14:03:20-06:00","never_fits":false,"learned":false,"stopped":false,"held":false,"local_model":null,"raise":"/budget user:111 +20%"}"#,
    r#"{"limit":"tokens_per_minute","scope":null,"own":null,"used":0,"max":1000,"figures":true,"resets_at":null,"resets_in_seconds":null,"now":"2026-11-22T14:03:20-06:00","never_fits":true,"learned":false,"stopped":false,"held":false,"local_model":null,"raise":null}"#,
    r#"{"limit":"usd_per_month","scope":"provider:cloud","own":"team","used":0,"max":1000,"figures":false,"resets_at":null,"resets_in_seconds":null,"now":"2026-11-22T14:03:20-06:00","never_fits":true,"learned":false,"stopped":false,"held":false,"local_model":null,"raise":null}"#,
    r#"{"limit":"requests_per_day","scope":"everything","own":null,"used":0,"max":0,"figures":true,"resets_at":null,"resets_in_seconds":null,"now":"2026-11-22T14:03:20-06:00","never_fits":true,"learned":false,"stopped":false,"held":false,"local_model":null,"raise":null}"#,
    r#"{"limit":"usd_prepaid","scope":"everything","own":null,"used":9,"max":10,"figures":true,"resets_at":null,"resets_in_seconds":null,"now":"2026-11-22T14:03:20-06:00","never_fits":false,"learned":false,"stopped":false,"held":false,"local_model":null,"raise":null}"#,
    r#"{"limit":"tokens_per_day","scope":"provider:cloud","own":null,"used":9,"max":10,"figures":true,"resets_at":null,"resets_in_seconds":null,"now":"2026-11-22T14:03:20-06:00","never_fits":false,"learned":true,"stopped":false,"held":false,"local_model":null,"raise":null}"#,
    r#"{"limit":"tokens_per_day","scope":null,"own":"user","used":9,"max":10,"figures":true,"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"now":"2026-11-22T14:03:20-06:00","never_fits":false,"learned":false,"stopped":true,"held":false,"local_model":null,"raise":null}"#,
    r#"{"limit":"tokens_per_day","scope":null,"own":"user","used":9,"max":10,"figures":true,"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"now":"2026-11-22T14:03:20-06:00","never_fits":false,"learned":false,"stopped":false,"held":true,"local_model":null,"raise":null}"#,
];
