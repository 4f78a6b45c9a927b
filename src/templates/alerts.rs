//! The contract of the message `alert`: what a notice shows. What does not belong to what happened is absent.

/// The fields, as `alerts` writes them.
pub(super) const FIELDS: &[&str] = &[
    "id",
    "at",
    "severity",
    "alert",
    "level",
    "scope",
    "limit",
    "span",
    "window",
    "used",
    "max",
    "used_usd",
    "max_usd",
    "percent",
    "resets_at",
    "resets_in_seconds",
    "count",
    "failed",
    "total",
    "minutes",
    "provider",
    "kind",
    "since",
    "seconds",
    "model",
    "hour_usd",
    "usual_usd",
    "trouble",
    "tokens",
    "others",
];

/// A sample of one kind of alert: every field is there, and those of the kind come last and hold.
macro_rules! sample {
    ($own:literal) => {
        concat!(
            r#"{"id":"a1","at":"2026-11-22T14:03:20-06:00","#,
            r#""severity":null,"alert":null,"level":null,"scope":null,"limit":null,"span":null,"#,
            r#""window":null,"used":null,"max":null,"used_usd":null,"max_usd":null,"percent":null,"#,
            r#""resets_at":null,"resets_in_seconds":null,"count":null,"failed":null,"total":null,"#,
            r#""minutes":null,"provider":null,"kind":null,"since":null,"seconds":null,"model":null,"#,
            r#""hour_usd":null,"usual_usd":null,"trouble":null,"tokens":null,"others":null,"#,
            $own,
            "}"
        )
    };
}

/// One of each kind, and each form a window is told in.
pub(super) const SAMPLES: &[&str] = &[
    sample!(
        r#""severity":"caution","alert":"level","level":"caution","scope":"team:sales","limit":"tokens_per_day","span":"day","window":"2026-11-22","max":1500000,"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"used":1200000,"percent":80"#
    ),
    sample!(
        r#""severity":"warning","alert":"level","level":"warning","scope":"team:sales","limit":"tokens_per_day","span":"day","window":"2026-11-22","max":1500000,"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"used":1350000,"percent":90"#
    ),
    sample!(
        r#""severity":"critical","alert":"level","level":"critical","scope":null,"limit":"usd_per_week","span":"week","window":"2026-11-16","used_usd":"4.8","max_usd":"5","percent":96,"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800"#
    ),
    sample!(
        r#""severity":"critical","alert":"level","level":"critical","scope":"cloud","limit":"requests_per_month","span":"month","window":"2026-11-01","used":150,"max":150,"percent":100,"resets_at":"2026-12-01T00:00:00-06:00","resets_in_seconds":727000"#
    ),
    sample!(
        r#""severity":"critical","alert":"level","level":"critical","scope":"user:k7f3abcdefghij234567","limit":"usd_prepaid","span":"prepaid","window":"1970-01-01","used_usd":"100.02","max_usd":"100","percent":100"#
    ),
    sample!(
        r#""severity":"warning","alert":"level","level":"warning","scope":"model:gpt-4o","limit":"requests_per_minute","span":"minute","window":"2026-11-22","used":14,"max":15,"percent":93,"resets_at":"2026-11-22T14:04:00-06:00","resets_in_seconds":40"#
    ),
    sample!(
        r#""severity":"warning","alert":"many","level":"warning","scope":"user:*","limit":"tokens_per_day","count":41"#
    ),
    sample!(
        r#""severity":"critical","alert":"many","level":"critical","scope":"user:*","limit":"usd_per_day","count":1"#
    ),
    sample!(
        r#""severity":"info","alert":"recovered","scope":"team:sales","limit":"tokens_per_day","span":"day","window":"2026-11-22","max":1500000,"resets_at":"2026-11-23T00:00:00-06:00","resets_in_seconds":35800,"used":0,"percent":0"#
    ),
    sample!(r#""severity":"warning","alert":"error_rate","failed":6,"total":50,"minutes":10,"percent":12"#),
    sample!(r#""severity":"info","alert":"error_rate_back""#),
    sample!(
        r#""severity":"warning","alert":"provider_down","provider":"cloud","kind":"connect_timeout","since":"2026-11-22T14:01:00-06:00""#
    ),
    sample!(r#""severity":"info","alert":"provider_back","provider":"cloud","seconds":420"#),
    sample!(r#""severity":"warning","alert":"unknown_price","provider":"cloud","model":"gpt-9","others":0"#),
    sample!(r#""severity":"warning","alert":"unknown_price","provider":"cloud","model":"gpt-9","others":295"#),
    sample!(r#""severity":"warning","alert":"cost_spike","hour_usd":"4.1","usual_usd":"0.8""#),
    sample!(r#""severity":"critical","alert":"ledger_down","trouble":"No space left on device""#),
    sample!(r#""severity":"info","alert":"ledger_back""#),
    sample!(r#""severity":"caution","alert":"large_prompt","model":"gpt-4o","tokens":12000"#),
    sample!(r#""severity":"info","alert":"test""#),
    sample!(r#""severity":"warning","alert":"forgotten""#),
];
