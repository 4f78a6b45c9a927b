//! `tallybot log`: `log_tokens` of a token log, from a shell.

use anyhow::Context;
use serde_json::{Map, Value};

use super::arguments::LogArguments;
use super::settings::Loaded;
use super::{WrongUse, complain, print};
use crate::app;
use crate::service::items;

/// Records a call, and says what was recorded.
pub(super) async fn log(loaded: &Loaded, arguments: LogArguments) -> anyhow::Result<()> {
    let json = arguments.json;
    let item = items::read_item(&Value::Object(fields_of(arguments)).to_string()).map_err(WrongUse::error)?;
    let books = app::open_books(&loaded.config, &loaded.data_dir).await?;
    let logged = books.log(item).await;
    let logged = books.close().and(logged)?;
    let text =
        if json { serde_json::to_string_pretty(&logged).context("cannot write the record")? } else { logged.text() };
    if let Some(told) = logged.was_to_come {
        complain(&format_args!("the time of the call, {told}, is in the future; it was recorded as of now"));
    }
    print(&(text + "\n"))
}

/// What was typed as a usage item: what is right in it, and what to say if it is not, is decided in one place for
/// commands and programs.
fn fields_of(arguments: LogArguments) -> Map<String, Value> {
    let failed = arguments.error.is_some() && arguments.status.is_none();
    let fields: [(&str, Option<Value>); 27] = [
        ("prompt_tokens", arguments.prompt_tokens.map(Value::from)),
        ("completion_tokens", arguments.completion_tokens.map(Value::from)),
        ("api_type", arguments.api.map(Value::from)),
        ("model", arguments.model.map(Value::from)),
        ("api_key_suffix", arguments.api_key_suffix.map(Value::from)),
        ("metadata", Some(Value::Object(arguments.metadata.into_iter().collect()))),
        ("success", failed.then_some(Value::Bool(false))),
        ("error_message", arguments.error.map(Value::from)),
        ("status", arguments.status.map(Value::from)),
        ("provider", arguments.provider.map(Value::from)),
        ("request_type", arguments.request_type.map(Value::from)),
        ("channel", Some("shell".into())),
        ("feature", arguments.feature.map(Value::from)),
        ("agent", arguments.agent.map(Value::from)),
        ("operation", arguments.operation.map(Value::from)),
        ("team", arguments.team.map(Value::from)),
        ("user", arguments.user.map(Value::from)),
        ("session", arguments.session.map(Value::from)),
        ("latency_ms", arguments.latency_ms.map(Value::from)),
        ("first_token_ms", arguments.first_token_ms.map(Value::from)),
        ("cost_usd", arguments.cost_usd.map(Value::from)),
        ("timestamp", arguments.timestamp.map(Value::from)),
        ("id", arguments.id.map(Value::from)),
        ("source", arguments.source.map(Value::from)),
        ("local", arguments.local.then_some(Value::Bool(true))),
        ("usage_source", arguments.usage_source.map(Value::from)),
        ("service_tier", arguments.service_tier.map(Value::from)),
    ];
    let slices = [
        ("cached_tokens", arguments.cached_tokens),
        ("cache_write_tokens", arguments.cache_write_tokens),
        ("cache_write_1h_tokens", arguments.cache_write_1h_tokens),
        ("reasoning_tokens", arguments.reasoning_tokens),
    ];
    let slices = slices.map(|(name, count)| (name, count.map(Value::from)));
    let given = fields.into_iter().chain(slices).filter_map(|(name, value)| Some((name.to_owned(), value?)));
    given.collect()
}
