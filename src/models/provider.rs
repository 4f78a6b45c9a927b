//! A configured provider: speaks its API over the transport, and remembers what it learned about the server.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use secrecy::{ExposeSecret, SecretString};

use super::endpoint::ChatReader;
use super::endpoint::{self, Endpoint};
use super::failure::ErrorBody;
use super::openai::{Dialect, LimitField};
use super::stream::request_id;
use super::transport::{Answer, BaseUrl, MAX_ERROR_BYTES, MAX_LIST_BYTES};
use super::{CallError, ChatMessage, ChatRequest, ChatStream, Observed, Retry, Transport};
use super::{anthropic, demo, gemini, ollama, openai};
use crate::usage::{ErrorKind, Failure, KeySuffix, estimate_prompt_tokens};

/// The API a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Ollama's own API.
    Ollama,
    /// OpenAI's chat completions, as many servers speak it.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// The built-in demo model.
    Demo,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 5] = [Kind::Ollama, Kind::OpenAi, Kind::Anthropic, Kind::Gemini, Kind::Demo];

    /// The name in config and, as `api_type`, in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Ollama => "ollama",
            Kind::OpenAi => "openai",
            Kind::Anthropic => "anthropic",
            Kind::Gemini => "gemini",
            Kind::Demo => "demo",
        }
    }

    /// About how many prompt tokens one picture is, for estimates: the provider's own count goes before it.
    ///
    /// OpenAI's API: a photo of 1280 × 960 at full detail is scaled to a short side of 768 and cut into four tiles of 512,
    /// 85 + 4 × 170 tokens for GPT-4o (OpenAI's guide "Images and vision"; smaller models count many times that).
    /// Ollama: the patches of 14 × 14 pixels of a picture of 336 × 336 in LLaVA 1.5 (`patch_size` and `image_size` of its
    /// published configuration); newer models count from 256 to several thousand. Anthropic: a pixel is 1/750 of a token,
    /// and what is above about 1,600 tokens is scaled down to that (its guide "Vision"; the newest models take up to three
    /// times as much). Gemini: that photo is four tiles of 258 tokens (Google's guide "Image understanding"). The demo
    /// model looks at none.
    pub fn image_tokens(self) -> u64 {
        match self {
            Kind::OpenAi => 85 + 4 * 170,
            Kind::Ollama => (336 / 14) * (336 / 14),
            Kind::Anthropic => 1_600,
            Kind::Gemini => 4 * 258,
            Kind::Demo => 0,
        }
    }
}

/// How long the parts of a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection, TLS included.
    pub connect: Duration,
    /// From the connection to the first byte of the answer's body. Long, because a model may have to be loaded.
    pub first_byte: Duration,
    /// Between two pieces of the answer.
    pub between_chunks: Duration,
    /// The whole call.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(300),
            between_chunks: Duration::from_secs(60),
            total: Duration::from_secs(600),
        }
    }
}

impl Timeouts {
    /// The same limit for each part.
    pub fn all(limit: Duration) -> Timeouts {
        Timeouts { connect: limit, first_byte: limit, between_chunks: limit, total: limit }
    }
}

/// What is needed to speak to a provider.
#[derive(Clone)]
pub struct ProviderSpec {
    /// The configured name.
    pub name: String,
    /// The API.
    pub kind: Kind,
    /// Where it is; not used by the demo model.
    pub url: String,
    /// The model used where none is chosen.
    pub model: String,
    /// The model that is shown pictures; `None` for that of the chat.
    pub vision_model: Option<String>,
    /// The key, if it wants one.
    pub api_key: Option<SecretString>,
    /// The owner's word on where its models run; `None` lets the kind decide.
    pub local: Option<bool>,
    /// How long a chat may take.
    pub timeouts: Timeouts,
}

impl ProviderSpec {
    /// A provider without a key and with the usual timeouts.
    pub fn new(name: &str, kind: Kind, url: &str, model: &str) -> ProviderSpec {
        ProviderSpec {
            name: name.to_owned(),
            kind,
            url: url.to_owned(),
            model: model.to_owned(),
            vision_model: None,
            api_key: None,
            local: None,
            timeouts: Timeouts::default(),
        }
    }
}

impl fmt::Debug for ProviderSpec {
    /// Without URL and key: both can hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProviderSpec({}, {}, {})", self.name, self.kind.as_str(), self.model)
    }
}

/// A model a provider offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Its name, as requests spell it.
    pub name: String,
    /// Whether it runs on the owner's machines.
    pub local: bool,
    /// Its size on disk, where known.
    pub size_bytes: Option<u64>,
    /// The longest context it can hold, in tokens, where known.
    pub context_tokens: Option<u64>,
    /// Whether it can chat, as far as is known; embedding models cannot.
    pub chats: bool,
}

/// A provider to call.
pub struct Provider {
    spec: ProviderSpec,
    base: Option<BaseUrl>,
    key: Option<KeyHeaders>,
    transport: Transport,
    memory: Arc<Memory>,
}

/// A key as headers hold it.
struct KeyHeaders {
    plain: HeaderValue,
    bearer: HeaderValue,
    /// What a record shows of it.
    suffix: Option<KeySuffix>,
}

impl KeyHeaders {
    /// `None` when no header can hold it.
    fn of(key: &SecretString) -> Option<KeyHeaders> {
        let key = key.expose_secret();
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text).ok()?;
            value.set_sensitive(true);
            Some(value)
        };
        let (plain, bearer) = (secret(key.trim())?, secret(&format!("Bearer {}", key.trim()))?);
        Some(KeyHeaders { plain, bearer, suffix: KeySuffix::of_key(key) })
    }
}

/// What calls have taught about a server. Only ever grows, so a call is adjusted at most once for each.
#[derive(Default)]
pub(super) struct Memory {
    other_limit_field: AtomicBool,
    no_stream_options: AtomicBool,
    remote_models: Mutex<BTreeSet<String>>,
}

/// Names of remote models that are remembered.
const MAX_REMOTE_MODELS: usize = 256;
/// Where APIs want a key.
pub static CREDENTIALS: [HeaderName; 4] =
    [header::AUTHORIZATION, X_API_KEY, X_GOOG_API_KEY, HeaderName::from_static("api-key")];
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
/// For questions that a healthy server answers at once.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const LIST_TIMEOUT: Duration = Duration::from_secs(10);

impl Memory {
    pub(super) fn remember_remote(&self, model: &str) {
        let mut models = self.remote_models.lock().unwrap_or_else(PoisonError::into_inner);
        if models.len() < MAX_REMOTE_MODELS && !models.contains(model) {
            models.insert(model.to_owned());
        }
    }

    fn is_remote(&self, model: &str) -> bool {
        self.remote_models.lock().unwrap_or_else(PoisonError::into_inner).contains(model)
    }
}

impl Provider {
    /// A provider over `transport`. A URL that cannot be used shows as [`ErrorKind::Connect`] in every call.
    pub fn new(spec: ProviderSpec, transport: Transport) -> Provider {
        let base = BaseUrl::parse(&spec.url);
        let key = spec.api_key.as_ref().and_then(KeyHeaders::of);
        Provider { spec, base, key, transport, memory: Arc::default() }
    }

    /// The configured name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The API it speaks.
    pub fn kind(&self) -> Kind {
        self.spec.kind
    }

    /// Whether it has a key of its own.
    pub fn has_key(&self) -> bool {
        self.spec.api_key.is_some()
    }

    pub(super) fn base(&self) -> Option<&BaseUrl> {
        self.base.as_ref()
    }

    /// To be called once a second for one of those that share a transport: connections that have rested for long are
    /// closed.
    pub fn second_passed(&self) {
        self.transport.second_passed();
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    pub(super) fn timeouts(&self) -> &Timeouts {
        &self.spec.timeouts
    }

    /// The model used where none is chosen.
    pub fn model(&self) -> &str {
        &self.spec.model
    }

    /// The model that is shown pictures; `None` where the chat's own model is.
    pub fn vision_model(&self) -> Option<&str> {
        self.spec.vision_model.as_deref()
    }

    /// About how many tokens a prompt is for this provider, pictures included: an estimate, to be stored as one.
    pub fn estimate_prompt_tokens(&self, messages: &[ChatMessage]) -> u64 {
        let images: u64 = messages.iter().map(|message| message.images().len() as u64).sum();
        let words = estimate_prompt_tokens(messages.iter().map(|message| message.content.as_str()));
        words.saturating_add(images.saturating_mul(self.spec.kind.image_tokens()))
    }

    /// What a record shows of the key.
    pub fn key_suffix(&self) -> Option<KeySuffix> {
        self.key.as_ref()?.suffix.clone()
    }

    /// Whether `model` runs on the owner's machines. Decided per model, because Ollama hands some on to its cloud: by
    /// their names, and by what its replies said.
    pub fn is_local(&self, model: &str) -> bool {
        match self.spec.kind {
            Kind::Demo => true,
            Kind::OpenAi | Kind::Anthropic | Kind::Gemini => self.spec.local == Some(true),
            Kind::Ollama => {
                let at_ollamas = self.base.as_ref().is_some_and(|base| is_ollamas_own(base.host()));
                let here = self.spec.local.unwrap_or(!at_ollamas);
                here && !ollama::is_cloud_name(model) && !self.memory.is_remote(model)
            }
        }
    }

    /// Asks for an answer. Returns when its head has come: the call succeeded so far and its pieces can be read.
    ///
    /// Dropping the future, or the stream, closes the connection at once. Never retries by itself: every attempt is
    /// the caller's, and has a record.
    ///
    /// # Errors
    /// Why no answer begins, and whether to ask again.
    pub async fn chat(&self, request: ChatRequest) -> Result<ChatStream, CallError> {
        self.chat_in(self.dialect(), request).await
    }

    /// [`Provider::chat`], as [`Retry::Adjusted`] says.
    ///
    /// # Errors
    /// As for that.
    pub async fn chat_in(&self, dialect: Dialect, request: ChatRequest) -> Result<ChatStream, CallError> {
        let Some(reader) = ChatReader::of(self.spec.kind, &request.model) else {
            let (events, ending) = demo::answer(&request);
            return Ok(ChatStream::ready(events, ending));
        };
        let (path, body) = match self.spec.kind {
            Kind::Ollama | Kind::Demo => (ollama::CHAT_PATH.to_owned(), ollama::chat_body(&request)),
            Kind::OpenAi => (openai::CHAT_PATH.to_owned(), openai::chat_body(&request, dialect)),
            Kind::Anthropic => (anthropic::MESSAGES_PATH.to_owned(), anthropic::chat_body(&request)),
            Kind::Gemini => (gemini::chat_path(&request.model), gemini::chat_body(&request)),
        };
        let answer = self.send(Method::POST, &path, body, &self.spec.timeouts).await?;
        if (200..300).contains(&answer.status) {
            self.understands(dialect);
            return Ok(ChatStream::over(answer, reader, request.model, Arc::clone(&self.memory)));
        }
        Err(self.refused(answer, dialect).await)
    }

    /// The models it offers.
    pub async fn list_models(&self) -> Result<Vec<ModelInfo>, CallError> {
        let path = match self.spec.kind {
            Kind::Demo => {
                let name = demo::MODEL.to_owned();
                return Ok(vec![ModelInfo { name, local: true, size_bytes: None, context_tokens: None, chats: true }]);
            }
            Kind::Ollama => ollama::TAGS_PATH,
            Kind::OpenAi => openai::MODELS_PATH,
            Kind::Anthropic => anthropic::MODELS_PATH,
            Kind::Gemini => gemini::MODELS_PATH,
        };
        let answer = self.send(Method::GET, path, Vec::new(), &Timeouts::all(LIST_TIMEOUT)).await?;
        if !(200..300).contains(&answer.status) {
            return Err(self.refused(answer, self.dialect()).await);
        }
        let (body, whole) = answer.body.read(MAX_LIST_BYTES).await;
        whole.and_then(|()| self.read_models(&body)).map_err(|kind| CallError::of(kind, Retry::No))
    }

    /// Whether it can be reached and lets us in, within two seconds. Costs nothing.
    pub async fn probe(&self) -> Result<(), CallError> {
        let path = match self.spec.kind {
            Kind::Demo => return Ok(()),
            Kind::Ollama => ollama::VERSION_PATH,
            Kind::OpenAi => openai::MODELS_PATH,
            Kind::Anthropic => anthropic::MODELS_PATH,
            Kind::Gemini => gemini::MODELS_PATH,
        };
        let answer = self.send(Method::GET, path, Vec::new(), &Timeouts::all(PROBE_TIMEOUT)).await?;
        match answer.status {
            // Not every compatible server lists models; one that says so is there.
            200..300 | 404 | 405 => Ok(()),
            _ => Err(self.refused(answer, self.dialect()).await),
        }
    }

    fn read_models(&self, body: &[u8]) -> Result<Vec<ModelInfo>, ErrorKind> {
        let local = self.spec.local == Some(true);
        match self.spec.kind {
            Kind::OpenAi => openai::read_models(body, local),
            Kind::Anthropic => anthropic::read_models(body, local),
            Kind::Gemini => gemini::read_models(body, local),
            Kind::Ollama | Kind::Demo => {
                let mut models = ollama::read_models(body)?;
                for model in &mut models {
                    if !model.local {
                        self.memory.remember_remote(&model.name);
                    }
                    model.local = self.is_local(&model.name);
                }
                Ok(models)
            }
        }
    }

    /// How requests are written to this server, as far as is known. OpenAI itself wants the new name of the limit,
    /// others know only the old one.
    pub fn dialect(&self) -> Dialect {
        let usual = self.usual_limit();
        let limit = if self.memory.other_limit_field.load(Ordering::Relaxed) { usual.other() } else { usual };
        Dialect { limit, stream_options: !self.memory.no_stream_options.load(Ordering::Relaxed) }
    }

    fn usual_limit(&self) -> LimitField {
        match self.base.as_ref().is_some_and(|base| base.host() == "api.openai.com") {
            true => LimitField::MaxCompletionTokens,
            false => LimitField::MaxTokens,
        }
    }

    /// How a request is to be written again whose answer says that a field of ours is not known; `None` when it says
    /// something else, or that of what was changed already.
    ///
    /// Nothing is concluded for other requests: what an error says may be what its client wrote. That is for
    /// [`Provider::understands`].
    pub fn adjusted(&self, sent: Dialect, status: u16, error_body: &[u8]) -> Option<Dialect> {
        let error = matches!(status, 400 | 422).then(|| ErrorBody::read(error_body))?;
        if sent.stream_options && error.rejects_field("stream_options") {
            return Some(Dialect { stream_options: false, ..sent });
        }
        let is_usual = sent.limit == self.usual_limit();
        (is_usual && error.rejects_field(sent.limit.as_str())).then(|| Dialect { limit: sent.limit.other(), ..sent })
    }

    /// A request that was written so was answered: whatever of it had to be adjusted is so from now on.
    pub fn understands(&self, dialect: Dialect) {
        if !dialect.stream_options {
            self.memory.no_stream_options.store(true, Ordering::Relaxed);
        }
        if dialect.limit != self.usual_limit() {
            self.memory.other_limit_field.store(true, Ordering::Relaxed);
        }
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>, timeouts: &Timeouts) -> Result<Answer, CallError> {
        let request = self.request(method, path, body).map_err(|kind| CallError::of(kind, Retry::No))?;
        let sent = self.transport.send(request, timeouts).await;
        sent.map_err(|no_answer| CallError::of(no_answer.kind(), no_answer.retry()))
    }

    fn request(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Request<Bytes>, ErrorKind> {
        let base = self.base.as_ref().ok_or(ErrorKind::Connect)?;
        let mut request = Request::new(Bytes::from(body));
        *request.uri_mut() = self.endpoint(base, path);
        let headers = request.headers_mut();
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if self.spec.kind == Kind::Anthropic {
            headers.insert("anthropic-version", HeaderValue::from_static(anthropic::VERSION));
        }
        if !self.authorize(headers) && self.spec.api_key.is_some() {
            return Err(ErrorKind::Unauthorized); // no header can hold this key
        }
        *request.method_mut() = method;
        Ok(request)
    }

    /// Puts the provider's own key where its API wants it, in the place of every credential there is; returns whether
    /// it has a key that a header can hold.
    pub fn authorize(&self, headers: &mut HeaderMap) -> bool {
        self.authorize_as(Endpoint::Other.dialect(self.spec.kind), headers)
    }

    /// [`Provider::authorize`] for a path of another API that it serves as well.
    pub(super) fn authorize_as(&self, dialect: endpoint::Dialect, headers: &mut HeaderMap) -> bool {
        for name in &CREDENTIALS {
            headers.remove(name);
        }
        let Some(key) = &self.key else { return false };
        let (name, value) = match dialect {
            endpoint::Dialect::Anthropic => (X_API_KEY, &key.plain),
            endpoint::Dialect::Gemini => (X_GOOG_API_KEY, &key.plain),
            endpoint::Dialect::OpenAi | endpoint::Dialect::Ollama => (header::AUTHORIZATION, &key.bearer),
        };
        headers.insert(name, value.clone());
        true
    }

    /// An OpenAI URL without any path means the usual `/v1`; a Gemini URL may name another version of the API.
    pub(super) fn endpoint(&self, base: &BaseUrl, path: &str) -> Uri {
        match self.spec.kind {
            Kind::OpenAi if base.has_no_path() && !path.starts_with("/v1/") => base.join(&format!("/v1{path}")),
            Kind::Gemini if base.ends_in_version() => match path.strip_prefix("/v1beta") {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => base.join(rest),
                _ => base.join_in_its_version(path), // a client's, which knows another version
            },
            _ => base.join(path),
        }
    }

    /// The failure that an error answer tells of. When the server only did not know a field of ours, the same can be
    /// asked without it.
    async fn refused(&self, answer: Answer, sent: Dialect) -> CallError {
        let observed = Observed::from_headers(&answer.headers);
        let provider_request_id = request_id(&answer.headers);
        let status = answer.status;
        let (body, _) = answer.body.read(MAX_ERROR_BYTES).await;
        let mut error = CallError { provider_request_id, ..CallError::from_answer(status, observed, &body) };
        if self.spec.kind == Kind::OpenAi
            && let Some(dialect) = self.adjusted(sent, status, &body)
        {
            error.retry = Retry::Adjusted(dialect);
            error.failure = Failure::http(ErrorKind::BadRequest, status);
        }
        error
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({:?})", self.spec)
    }
}

fn is_ollamas_own(host: &str) -> bool {
    host == "ollama.com" || host.ends_with(".ollama.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_itself_gives_way_to_that_of_the_url() {
        for (url, path, expected) in [
            ("https://h/v1", "/v1beta/models/m:generateContent", "https://h/v1/models/m:generateContent"),
            ("https://h/v1beta", "/v1beta1/models/m", "https://h/v1beta1/models/m"),
            ("https://h/v1", "/v1beta1/models/m", "https://h/v1beta1/models/m"),
            ("https://h/v1", "/v1betas/x", "https://h/v1betas/x"),
            ("https://h", "/v1beta/models", "https://h/v1beta/models"),
        ] {
            let provider = Provider::new(ProviderSpec::new("g", Kind::Gemini, url, "m"), Transport::new());
            let base = provider.base().expect("a URL");
            assert_eq!(provider.endpoint(base, path).to_string(), expected, "{url} {path}");
        }
    }
}
