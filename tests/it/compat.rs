//! Raymundo's own scripts and samples, held against the answers in its form: its document is the judge.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tallybot::app::SystemClock;
use tallybot::reports::raymundo::{Stats, Terms, text};
use tallybot::reports::stats::{
    Conversations, Latency, LimitUse, ModelUse, PlaceTokens, ProviderInfo, ServiceStatus, StatsReport, Tokens,
};
use tallybot::stats::Period;
use tallybot::usage::{Clock, Money, SubjectId, Timestamp, Zone};

use crate::running::{Answer, Home, Running, exchange};

const BLOCKS: &str = include_str!("fixtures/raymundo/blocks.md");

/// The document's types by our names, with its counts.
const TYPES: [(&str, u64); 7] = [
    ("chat", 189),
    ("presentation", 12),
    ("document", 25),
    ("spreadsheet", 8),
    ("web_scraping", 11),
    ("correction", 2),
    ("vision", 0),
];

/// The block of the document that holds a text.
fn block(holding: &str) -> &'static str {
    let blocks = BLOCKS.split("```").skip(1).step_by(2);
    let mut found = blocks.filter_map(|block| block.split_once('\n')).map(|(_, block)| block);
    found.find(|block| block.contains(holding)).expect("the document has such a block")
}

/// Its answer to `GET /stats`, with the quotation mark and the two commas that are missing in it.
fn sample() -> String {
    let broken = block("\"estado\"");
    let mended = broken.replace("  }tier\"", "  },\n  \"tier\"").replace("  }\n  \"errores\"", "  },\n  \"errores\"");
    assert_ne!(mended, broken);
    mended
}

/// The keys of a JSON text in the order they stand there.
fn keys(text: &str) -> Vec<&str> {
    let words: Vec<&str> = text.split('"').collect();
    let is_key = |at: &usize| words.get(at + 1).is_some_and(|after| after.trim_start().starts_with(':'));
    (1..words.len()).step_by(2).filter(is_key).map(|at| words[at]).collect()
}

/// Keys and values of an object, as whether they are numbers, texts or objects.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Number(_) => json!(0),
        Value::String(_) => json!(""),
        Value::Array(_) => json!([]),
        other => other.clone(),
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a time")
}

/// The report of which the document shows both forms.
fn report() -> StatsReport {
    let mut report = StatsReport::empty("Raymundo", "0", Period::All, at("2024-01-15T14:40:00-06:00"));
    report.status = ServiceStatus::Ok;
    report.uptime_seconds = Some((2 * 24 + 5) * 3_600 + 34 * 60 + 59);
    report.counting_since = Some(at("2024-01-13T15:00:00.999999Z"));
    report.last_request_at = Some(at("2024-01-15T14:32:18.5-06:00"));
    (report.requests.total, report.requests.ok, report.requests.failed) = (247, 244, 3);
    report.requests.by_type = TYPES.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    let place = |prompt, completion| PlaceTokens { prompt, completion, estimated: 0 };
    report.tokens = Tokens::of_places(place(45_000, 230), place(128_000, 450));
    report.latency_ms = Latency { mean: Some(2_450), ..Latency::default() };
    report.conversations = Conversations { active: 5, messages: 124, users: 3 };
    let provider = |name: &str, kind: &str, plan: Option<&str>| ProviderInfo {
        name: name.to_owned(),
        kind: kind.to_owned(),
        plan: plan.map(str::to_owned),
        ..ProviderInfo::default()
    };
    report.providers = vec![provider("github-models", "openai", Some("free")), provider("ollama", "ollama", None)];
    report.providers[0].local = Some(false);
    let limit = |provider: &str, limit: &str, used, max| LimitUse {
        provider: Some(provider.to_owned()),
        limit: limit.to_owned(),
        used,
        max,
        ..LimitUse::default()
    };
    let subject = Some("user:*".to_owned());
    report.limits = vec![
        LimitUse { subject, ..limit("github-models", "requests_per_day", 900, 1) },
        limit("ollama", "requests_per_day", 10, 100),
        limit("github-models", "requests_per_minute", 60, 15),
        limit("github-models", "tokens_per_minute", 128_450, 150_000),
        limit("github-models", "requests_per_day", 247, 150),
    ];
    report
}

fn terms() -> Terms {
    let users = (1..=3).map(|user| SubjectId::from_bytes([user; 12])).collect();
    let usd_per_1000 = Money::parse_usd("0.045").expect("an amount");
    Terms { zone: Zone::named("America/Mexico_City").expect("a zone"), usd_per_1000, users }
}

#[test]
fn the_documents_numbers_give_its_sample_key_by_key() {
    let ours = serde_json::to_string(&Stats::of(&report(), &terms())).expect("plain data");
    let mut expected: Value = serde_json::from_str(&sample()).expect("mended");
    // Names of people are not shown: they are subject ids here.
    expected["conversaciones"]["usuarios"] = terms().users.iter().map(SubjectId::to_string).collect();
    assert_eq!(serde_json::from_str::<Value>(&ours).expect("JSON"), expected);
    assert_eq!(keys(&ours), keys(&sample()), "in its order");
}

#[test]
fn the_documents_numbers_give_its_screen_line_by_line() {
    let ours = text(&report(), &terms());
    assert_eq!(ours, block("ESTADÍSTICAS DE RAYMUNDO"));
}

#[test]
fn what_is_not_there_is_said_and_no_number_is_invented() {
    let empty = StatsReport::empty("ana", "0", Period::All, at("2024-01-15T14:40:00Z"));
    let terms = Terms { users: Vec::new(), ..terms() };
    let stats = serde_json::to_value(Stats::of(&empty, &terms)).expect("plain data");
    for (key, expected) in [
        ("tasa_exito", json!("sin datos")),
        ("tiempo_promedio_respuesta", json!("sin datos")),
        ("ultimo_request", Value::Null),
        ("costo_estimado_usd", json!("$0.0000")),
        ("inicio", json!("2024-01-15T08:40:00")),
    ] {
        assert_eq!(stats[key], expected, "{key}");
    }
    let limits = json!({"tokens_pm": "sin límite", "requests_dia": "sin límite", "uso_tpm": "0.0%", "uso_rpd": "0.0%"});
    assert_eq!(stats["rate_limits"], limits);
    let screen = text(&empty, &terms);
    for line in ["📊 **ESTADÍSTICAS DE ANA**", "• Visión/Imágenes: 0", "• Tasa de éxito: sin datos"] {
        assert!(screen.lines().any(|shown| shown == line), "{line}: {screen}");
    }
    assert!(!screen.contains("Otros"), "{screen}");
    let mut paid = report();
    paid.providers[0].plan = Some("Pro".to_owned());
    paid.requests.by_type.insert("internal".to_owned(), 4);
    let screen = text(&paid, &terms);
    assert!(screen.contains("\n• GPT-4o (cloud): 128,450\n") && screen.contains("\n• Otros: 4\n"), "{screen}");
    assert!(screen.contains("💳 **Plan:** GitHub Models Pro + Ollama Local"), "{screen}");
    assert_eq!(serde_json::to_value(Stats::of(&paid, &terms)).expect("plain data")["tier"], "Pro");
    paid.providers[0].plan = None;
    let stats = serde_json::to_value(Stats::of(&paid, &terms)).expect("plain data");
    assert_eq!((&stats["tier"], &stats["requests_por_tipo"]["otros"]), (&json!("sin datos"), &json!(4)));
}

#[test]
fn nothing_is_called_free_that_may_cost_something() {
    let tier = |report: &StatsReport| {
        let stats = serde_json::to_value(Stats::of(report, &terms())).expect("plain data");
        (stats["tier"].as_str().expect("a text").to_owned(), text(report, &terms()).contains("Todo el uso es gratuito"))
    };
    let free = ("🆓 Gratuito".to_owned(), true);
    let used = |provider: &str, local: bool| ModelUse {
        provider: provider.to_owned(),
        local,
        total_tokens: 1,
        ..ModelUse::default()
    };
    let mut report = report();
    report.models = vec![used("github-models", false), used("ollama", true)];
    assert_eq!(tier(&report), free);
    // A model that Ollama hands on to its cloud, and a provider that only others know.
    for somebody in ["ollama", "elsewhere"] {
        report.models.truncate(2);
        report.models.push(used(somebody, false));
        assert_eq!(tier(&report), ("sin datos".to_owned(), false), "{somebody}");
    }
    report.models.truncate(2);
    let paid = ProviderInfo { name: "cloud".to_owned(), kind: "openai".to_owned(), ..ProviderInfo::default() };
    report.providers.push(ProviderInfo { plan: Some("Team".to_owned()), ..paid });
    assert_eq!(tier(&report), ("Team".to_owned(), false));
    (report.providers, report.models) = (report.providers.drain(1..2).collect(), vec![used("ollama", true)]);
    (report.tokens.cloud, report.limits) = (0, Vec::new());
    assert_eq!(tier(&report), free);
}

/// A running tallybot in raymundo's form: on its port, or on another one while somebody else has that.
struct Raymundo {
    home: Home,
    service: Running,
    port: u16,
}

impl Raymundo {
    fn start(compat: &str) -> Raymundo {
        // The zone of the days is far from its midnight.
        let now = SystemClock::new(Zone::UTC).now().at;
        let hour = now.unix_micros() / 3_600_000_000 % 24;
        let zone = if hour < 12 { "Etc/GMT-6" } else { "Etc/GMT+6" };
        let config = |port: u16| {
            format!(
                "timezone = \"{zone}\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n{compat}[[providers]]\n\
                 name = \"github-models\"\nkind = \"openai\"\nmodel = \"gpt-4o\"\nlocal = false\nplan = \"free\"\n\
                 limits = {{ requests_per_minute = 15, requests_per_day = 150, tokens_per_minute = 150000, \
                 day_timezone = \"{zone}\" }}\n[[providers]]\nname = \"ollama\"\nkind = \"ollama\"\nmodel = \"llama3.2\"\n"
            )
        };
        let home = Home::new(&config(5000));
        let mut service = home.start(&["serve"]);
        if service.line_with("127.0.0.1:5000").contains("listening on") {
            return Raymundo { home, service, port: 5000 };
        }
        home.configure(&config(0));
        service.wait();
        let service = home.serve();
        let port = service.port();
        let said = writeln!(std::io::stderr(), "port 5000 is taken: the scripts ask port {port} instead");
        drop(said);
        Raymundo { home, service, port }
    }

    fn ask(&self, method: &str, target: &str, body: &str) -> Answer {
        let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n", self.port);
        let body = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let answer = exchange(self.port, (head + &body).as_bytes()).expect("it answers");
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer
    }

    /// Posts the document's requests: the first hundred local.
    fn feed(&self) {
        let types = TYPES.into_iter().flat_map(|(name, count)| std::iter::repeat_n(name, count as usize));
        let items = types.enumerate().map(|(at, request_type)| {
            let local = at < 100;
            let total = match at {
                0 => 45_230 - 99 * 452,
                100 => 128_450 - 146 * 873,
                _ if local => 452,
                _ => 873,
            };
            let (provider, model) = if local { ("ollama", "llama3.2") } else { ("github-models", "gpt-4o") };
            json!({"id": at.to_string(), "provider": provider, "model": model, "local": local,
                "prompt_tokens": total - 100, "completion_tokens": 100, "success": at % 82 != 81,
                "request_type": request_type, "user": format!("secret-person-{}", at % 5), "latency_ms": 2450})
        });
        let answer = self.ask("POST", "/v1/usage", &Value::from_iter(items).to_string()).json();
        assert_eq!(answer["accepted"], 247, "{answer}");
    }

    /// A script of the document, asking the port we got.
    fn script(&self, holding: &str) -> String {
        block(holding).replace("localhost:5000", &format!("localhost:{}", self.port))
    }

    /// What a Python script printed; `None` where there is no Python.
    fn python(&self, script: &str) -> Option<String> {
        let file = self.home.input("script.py", script);
        let python = std::env::var_os("TALLYBOT_OLLAMA_PYTHON").unwrap_or_else(|| "python3".into());
        let mut command = Command::new(&python);
        command.arg(file).current_dir(self.home.path("inputs")).env("PYTHONIOENCODING", "utf-8");
        command.env_remove("http_proxy").env_remove("HTTP_PROXY").env("NO_PROXY", "localhost");
        let has_requests = Command::new(&python).args(["-c", "import requests"]).output().ok()?.status.success();
        if !has_requests {
            let stand_in = include_str!("fixtures/raymundo/requests.py");
            self.home.input("requests.py", stand_in);
        }
        let output = command.output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).expect("UTF-8"))
    }
}

/// Past the harness, which hides what a test that passes has printed.
fn not_checked(what: &str) {
    let said = writeln!(std::io::stderr(), "NOT CHECKED: {what}");
    drop(said);
}

fn on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder: PathBuf| folder.join(tool)).any(|file: PathBuf| Path::is_file(&file))
}

#[test]
fn the_documents_scripts_run_as_they_stand() {
    let raymundo = Raymundo::start("[compat]\nraymundo = true\n");
    raymundo.feed();

    let answer = raymundo.ask("GET", "/stats", "");
    let (stats, expected) = (answer.json(), serde_json::from_str::<Value>(&sample()).expect("mended"));
    assert_eq!((keys(&answer.body()), shape(&stats)), (keys(&sample()), shape(&expected)));
    let same = [
        "estado",
        "total_requests",
        "tokens",
        "requests_por_tipo",
        "tier",
        "errores",
        "tasa_exito",
        "costo_estimado_usd",
    ];
    for key in same.into_iter().chain(["tiempo_promedio_respuesta"]) {
        assert_eq!(stats[key], expected[key], "{key}");
    }
    // The document holds all requests against the day of one provider; here only that provider's count.
    let limits = json!({"tokens_pm": "128,450 / 150,000 TPM", "requests_dia": "147 / 150 RPD",
        "uso_tpm": "85.6%", "uso_rpd": "98.0%"});
    assert_eq!(stats["rate_limits"], limits);
    let users = stats["conversaciones"]["usuarios"].as_array().expect("a list");
    assert!(users.len() == 5 && users.iter().all(|user| SubjectId::parse(user.as_str().unwrap_or("")).is_some()));
    assert!(!answer.text().contains("secret-person"), "{answer:?}");
    for key in ["inicio", "ultimo_request"] {
        let time = stats[key].as_str().expect("a time");
        assert!(chrono::NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H:%M:%S").is_ok(), "{time}");
    }

    let line_262 = "(150K TPM)\n";
    let alerts = raymundo.script("⚠️ ALERTA: Cerca del límite");
    assert!(alerts.contains(line_262), "{alerts}");
    let expected = "⚠️ ALERTA: Cerca del límite de requests diarios (150 RPD)\n\
                    ⚠️ ALERTA: Alto uso de tokens por minuto (150K TPM)\nCosto acumulado: $5.78 USD\n";
    match raymundo.python(&alerts.replace(line_262, "(150K TPM)\")\n")) {
        Some(printed) => assert_eq!(printed, expected),
        None => return not_checked("raymundo's scripts: no python3"),
    }
    assert_eq!(raymundo.python(&raymundo.script("metricas.csv")).as_deref(), Some(""));
    let csv = std::fs::read_to_string(raymundo.home.path("inputs/metricas.csv")).expect("the script wrote it");
    assert!(csv.trim_end().ends_with(",247,173680,$5.7803,98.8%"), "{csv}");
}

#[test]
fn the_documents_commands_show_its_screen_and_reset() {
    let raymundo = Raymundo::start("[compat]\nraymundo = true\n");
    raymundo.feed();
    let screen = raymundo.ask("GET", "/stats?format=text", "").body();
    let sample = block("ESTADÍSTICAS DE RAYMUNDO");
    assert_eq!(screen.lines().count(), sample.lines().count(), "{screen}");
    let differing: Vec<&str> = sample.lines().filter(|line| !screen.lines().any(|shown| shown == *line)).collect();
    // Times are ours, and a day counts one provider's requests.
    let expected = ["⏰", "• Requests/Día", "🕐"];
    assert_eq!(differing.len(), expected.len(), "{differing:?}");
    assert!(differing.iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{differing:?}");

    let watch = raymundo.script("watch -n 10");
    let watch = watch.lines().find(|line| line.starts_with("watch")).expect("the line");
    if on_path("watch") && on_path("curl") {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("exec {watch}")]).env("TERM", "xterm").env("LINES", "60").env("LC_ALL", "C.UTF-8");
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watching = piped.spawn().expect("a shell");
        let mut shown = BufReader::new(watching.stdout.take().expect("piped")).split(b'\x1b');
        let seen = shown.any(|piece| String::from_utf8_lossy(&piece.unwrap_or_default()).contains("requests: 247"));
        watching.kill().expect("our own child");
        watching.wait().expect("our own child");
        assert!(seen, "`watch` shows the screen");
    } else {
        not_checked("raymundo's `watch` line: no watch or no curl");
    }

    let reset = raymundo.script("/metrics/reset");
    if on_path("curl") {
        let output = Command::new("/bin/sh").args(["-c", &reset]).output().expect("a shell");
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let expected: Value = serde_json::from_str(block("nuevo_inicio")).expect("JSON");
        assert_eq!((shape(&answer), &answer["message"]), (shape(&expected), &expected["message"]));
        assert_eq!(raymundo.ask("GET", "/stats", "").json()["inicio"], answer["nuevo_inicio"]);
        assert_eq!(raymundo.ask("GET", "/stats", "").json()["total_requests"], 0);
    } else {
        not_checked("raymundo's reset: no curl");
    }
}

#[test]
fn each_form_can_be_asked_for_and_commands_understand_a_tallybot_in_either() {
    let raymundo = Raymundo::start("[compat]\nraymundo = true\nraymundo_usd_per_1000 = \"1\"\n");
    raymundo.feed();
    assert_eq!(raymundo.ask("GET", "/stats", "").json()["costo_estimado_usd"], "$128.4500");
    let ours = raymundo.ask("GET", "/stats?form=tallybot", "").json();
    assert_eq!((&ours["requests"]["total"], &ours["tokens"]["local"]), (&json!(247), &json!(45_230)));
    let reset = raymundo.home.run(&["reset", "--yes"], "");
    assert!(reset.code() == Some(0) && reset.out.contains("counting since"), "{reset:?}");
    let undone = raymundo.home.run(&["reset", "--undo", "--yes"], "");
    assert!(undone.code() == Some(0) && undone.out.contains("taken back"), "{undone:?}");
    assert_eq!(raymundo.ask("GET", "/stats", "").json()["total_requests"], 247);
    let reset = raymundo.ask("POST", "/metrics/reset?form=tallybot&lang=en", "").json();
    assert!(reset["counting_since"].is_string() && reset.get("nuevo_inicio").is_none(), "{reset}");
    assert_eq!(raymundo.service.stop().code(), Some(0));
}
