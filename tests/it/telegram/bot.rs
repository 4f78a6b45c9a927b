//! The built program with a Telegram and a model of its own.

use super::{Chat, FakeApi, Person};
use crate::providers::{Hit, Reply, ScriptedProvider, openai};
use crate::running::{Home, Running};

/// A person who may speak, and an admin.
pub fn ana() -> Person {
    Person::new(111, "Ana")
}

pub fn root() -> Person {
    Person::new(222, "Root")
}

/// The group whose members may speak.
pub const GROUP: i64 = -1001;

/// Everything the program needs, and the program.
pub struct Bot {
    pub fake: FakeApi,
    pub model: ScriptedProvider,
    pub home: Home,
}

impl Bot {
    /// A model that answers as told, and more lines of `[telegram]`.
    pub async fn new(model: impl Fn(&Hit) -> Reply + Send + Sync + 'static, telegram: &str) -> Bot {
        let fake = FakeApi::start().await;
        let model = ScriptedProvider::start(model).await;
        let home = Home::new(&config(&fake.url(), &model.url(), telegram))
            .with_env("TELOXIDE_TOKEN", FakeApi::TOKEN)
            .with_env("KEY", "sk-0123456789-0123456789");
        Bot { fake, model, home }
    }

    /// A model that says this, piece by piece.
    pub async fn saying(pieces: &[&str]) -> Bot {
        Bot::new(openai::polite(&["m"], openai::chat(pieces, 20, 5)), "").await
    }

    /// Starts the program and waits until it polls.
    pub async fn start(&self) -> Running {
        let polls = self.fake.polls();
        let app = tokio::task::block_in_place(|| self.home.serve());
        self.fake.wait_for_polls(polls + 1).await;
        app
    }

    /// Ana's own chat.
    pub fn chat(&self) -> Chat {
        self.fake.private(&ana())
    }

    /// The model calls in the books, by their status.
    pub fn statuses(&self) -> Vec<String> {
        let status = |record: &serde_json::Value| record["status"].as_str().unwrap_or_default().to_owned();
        match self.home.records_if_whole() {
            Some(_) => self.home.records().iter().map(status).collect(),
            None => Vec::new(),
        }
    }
}

/// Waits until something in the files is so.
pub async fn until(mut is_so: impl FnMut() -> bool) {
    let looking = async {
        while !is_so() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), looking).await.expect("it never came");
}

/// A configuration with one model and one bot.
pub fn config(api: &str, model: &str, telegram: &str) -> String {
    format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[ledger]\ndurability = \"kill\"\n\
         [[providers]]\nname = \"cloud\"\nkind = \"openai\"\nurl = \"{model}/v1\"\nmodel = \"m\"\napi_key_env = \"KEY\"\n\
         [telegram]\napi_url = \"{api}\"\nusers = [111]\nadmins = [222]\ngroups = [{GROUP}]\n{telegram}\n"
    )
}
