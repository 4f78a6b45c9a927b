//! The configured providers; without any, a local Ollama if it answers, else the demo model.

use std::time::Duration;

use crate::config::{self, Config, ProviderKind};
use crate::models::{Kind, Provider, ProviderSpec, Timeouts, Transport};
use crate::reports::stats::ProviderInfo;

/// Where Ollama listens unless told otherwise.
const LOCAL_OLLAMA: &str = "http://127.0.0.1:11434";

/// How long the start waits for it.
const PATIENCE: Duration = Duration::from_millis(800);

/// Builds the providers, in the order of the configuration. Never empty.
pub async fn build(config: &Config, transport: &Transport) -> Vec<Provider> {
    if config.providers.is_empty() {
        let provider = match local_ollama(transport).await {
            Some(ollama) => ollama,
            None => demo(transport),
        };
        return vec![provider];
    }
    config.providers.iter().map(|provider| configured(provider, transport)).collect()
}

fn configured(provider: &config::Provider, transport: &Transport) -> Provider {
    let kind = match provider.kind {
        ProviderKind::Ollama => Kind::Ollama,
        ProviderKind::OpenAi => Kind::OpenAi,
        ProviderKind::Anthropic => Kind::Anthropic,
        ProviderKind::Gemini => Kind::Gemini,
        ProviderKind::Demo => Kind::Demo,
    };
    let secs = Duration::from_secs;
    let spec = ProviderSpec {
        vision_model: provider.vision_model.clone(),
        api_key: provider.api_key.clone(),
        local: provider.local,
        timeouts: Timeouts {
            connect: secs(provider.timeouts.connect_secs),
            first_byte: secs(provider.timeouts.first_byte_secs),
            between_chunks: secs(provider.timeouts.between_chunks_secs),
            total: secs(provider.timeouts.total_secs),
        },
        ..ProviderSpec::new(&provider.name, kind, &provider.url, &provider.model)
    };
    Provider::new(spec, transport.clone())
}

/// Whether a model of a configured provider runs on the owner's machine, as far as it can be told without asking.
pub fn is_local(provider: &config::Provider, model: &str) -> bool {
    configured(provider, &Transport::new()).is_local(model)
}

/// A local Ollama with its first model that can chat, if it answers soon.
async fn local_ollama(transport: &Transport) -> Option<Provider> {
    let of =
        |model: &str| Provider::new(ProviderSpec::new("ollama", Kind::Ollama, LOCAL_OLLAMA, model), transport.clone());
    let models = tokio::time::timeout(PATIENCE, of("").list_models()).await.ok()?.ok()?;
    let model = models.into_iter().find(|model| model.chats && model.local)?;
    Some(of(&model.name))
}

fn demo(transport: &Transport) -> Provider {
    Provider::new(ProviderSpec::new("demo", Kind::Demo, "", "demo"), transport.clone())
}

/// What reports say of the providers.
pub fn describe(config: &Config, providers: &[Provider]) -> Vec<ProviderInfo> {
    let info = |provider: &Provider| {
        let plan = config.providers.iter().find(|configured| configured.name == provider.name());
        let is_demo = provider.kind() == Kind::Demo;
        ProviderInfo {
            name: provider.name().to_owned(),
            kind: provider.kind().as_str().to_owned(),
            plan: plan.and_then(|configured| configured.plan.clone()),
            local: (provider.kind() != Kind::Ollama).then(|| provider.is_local(provider.model())),
            demo: is_demo,
        }
    };
    providers.iter().map(info).collect()
}
