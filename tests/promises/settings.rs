//! Settings: who wins, and how a wrong one is told.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use tandem::{
    config::{Flag, Settings, Sources},
    store::StoreKind,
};

#[derive(Default)]
struct Given {
    directory: Option<tempfile::TempDir>,
    sources: Sources,
}

impl Given {
    fn file(mut self, text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tandem.toml");
        fs::write(&file, text).unwrap();
        self.sources.file = Some(file);
        self.directory = Some(directory);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, name: &'static str, key: &'static str, value: &str) -> Self {
        self.sources.flags.push(Flag { name, key, value: value.into() });
        self
    }

    fn settings(&self) -> Settings {
        Settings::load(&self.sources).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The one line, with the file's directory left out.
    fn refusal(&self) -> String {
        let line = Settings::load(&self.sources).expect_err("refused").to_string();
        assert!(!line.contains('\n'), "one line: {line}");
        let directory = self.directory.as_ref().map(|directory| format!("{}/", directory.path().display()));
        directory.map_or(line.clone(), |directory| line.replace(&directory, ""))
    }
}

fn given() -> Given {
    Given::default()
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let given = given()
        .file("[server]\nlisten = '127.0.0.1:1'\nbody_limit = 1\nworkers = 1\n[nudge]\nmin_interval = '1h'")
        .variable("TANDEM__SERVER__LISTEN", "127.0.0.1:2")
        .variable("TANDEM__SERVER__BODY_LIMIT", "2")
        .variable("TANDEM_OTHER", "no setting")
        .flag("--listen", "server.listen", "127.0.0.1:3");
    let settings = given.settings();
    assert_eq!(settings.server.listen.port(), 3);
    assert_eq!((settings.server.body_limit, settings.server.workers), (2, 1));
    assert_eq!(settings.nudge.min_interval, Duration::from_secs(3600));
    assert_eq!(settings.sessions.max_crashes, 5, "a default");
}

#[test]
fn variables_are_read_as_their_settings_are() {
    let settings = given()
        .variable("TANDEM__AUTH__HS256_SECRET", "12345678901234567890123456789012")
        .variable("TANDEM__AUTH__AUDIENCE", "[\"app\", \"web\"]")
        .variable("TANDEM__AUTH__AUTHORIZED_PARTIES", "one,two")
        .variable("TANDEM__AUTH__ISSUER", "true")
        .variable("TANDEM__STORE__ENGINE", "redb")
        .variable("TANDEM__SESSIONS__IDLE_AFTER", "90s")
        .variable("TANDEM__ROUTING__LEAVE_GRACE", "\"45s\"")
        .variable("TANDEM__REALTIME__CLIENT_PUBLISH", "false")
        .variable("TANDEM__REALTIME__PRESENCE_CHANNELS", "['a:{sessionId}', 'b:{sessionId}']")
        .variable(
            "TANDEM__REALTIME__EMBEDDED__KEYS",
            r#"[{"name": "app.one", "secret": "s1"}, {"name": "app.two", "secret": "s2"}]"#,
        )
        .variable("TANDEM__PUSH__TEXTS", r#"{de = {default = {title = "Tandem", body = "Neues"}}}"#)
        .variable("TANDEM__DATA", "/var/lib/tandem")
        .settings();
    assert_eq!(settings.auth.hs256_secret.unwrap().reveal(), "12345678901234567890123456789012");
    assert_eq!(settings.auth.audience, ["app", "web"]);
    assert_eq!(settings.auth.authorized_parties, ["one", "two"]);
    assert_eq!(settings.auth.issuer.as_deref(), Some("true"));
    assert_eq!(settings.store.engine, StoreKind::Redb);
    assert_eq!(settings.sessions.idle_after, Duration::from_secs(90));
    assert_eq!(settings.routing.leave_grace, Duration::from_secs(45));
    assert!(!settings.realtime.client_publish);
    assert_eq!(settings.realtime.presence_channels, ["a:{sessionId}", "b:{sessionId}"]);
    assert_eq!(settings.realtime.embedded.keys[1].name, "app.two");
    assert_eq!(settings.push.texts["de"]["default"].title, "Tandem");
    assert_eq!(settings.data, Path::new("/var/lib/tandem"));
}

#[test]
fn the_data_directory_may_hold_the_file() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("config.toml"), "[nudge]\nmin_interval = '1h'").unwrap();
    let path = data.path().to_str().unwrap();
    for given in [given().flag("--data", "data", path), given().variable("TANDEM__DATA", path)] {
        assert_eq!(given.settings().nudge.min_interval, Duration::from_secs(3600));
        assert_eq!(given.settings().store_place().path(), data.path().join("store"));
        let both = Given { sources: given.sources, ..self::given().file("") };
        let explicit =
            Sources { file: both.directory.as_ref().map(|it| it.path().join("tandem.toml")), ..both.sources.clone() };
        assert_eq!(Settings::load(&explicit).unwrap().nudge.min_interval, Duration::from_secs(6 * 3600));
    }
    fs::write(data.path().join("config.toml"), "data = 'elsewhere'").unwrap();
    assert!(given().flag("--data", "data", path).refusal().contains("data cannot be set"));
}

#[test]
fn the_error_for_a_wrong_setting_names_its_place_key_value_and_what_would_be_right() {
    let cases: [(Given, &[&str]); 19] = [
        (given().file("[sesions]\nidle_after = '1m'"), &["tandem.toml: there is no setting sesions", "sessions"]),
        (given().file("[sessions]\nidle_afte = '1m'"), &["no setting sessions.idle_afte;", "sessions.idle_after"]),
        (given().file("[push]\nleave_grace = '1m'"), &["no setting push.leave_grace;", "routing.leave_grace"]),
        (
            given().file("[server.tls]\ncertificat = 'a'"),
            &["no setting server.tls.certificat;", "server.tls.certificate"],
        ),
        (given().file("[server.tls]\ncertificate = 'a'"), &["tandem.toml: server.tls has no key"]),
        (
            given().file("[[realtime.embedded.keys]]\nname = 'a.b'\nsecret = 'c'\ncapabilty = ''"),
            &["no setting realtime.embedded.keys.capabilty"],
        ),
        (
            given().file("[sessions]\nidle_after = '1 fortnight'"),
            &["tandem.toml: sessions.idle_after is \"1 fortnight\"", "as \"10m\""],
        ),
        (given().file("[sessions]\nidle_after = 5"), &["sessions.idle_after is 5, but must be", "duration"]),
        (given().file("[server]\nworkers = 'many'"), &["server.workers is \"many\", but must be a whole number"]),
        (given().file("[server]\nbody_limit = -1"), &["server.body_limit is -1"]),
        (given().file("[store]\nengine = 'mysql'"), &["store.engine is \"mysql\", but must be \"sled\" or \"redb\""]),
        (given().file("[server\nlisten = 1"), &["tandem.toml: is not TOML: line 1"]),
        (
            given().file("[server]\nlisten = 'here'").flag("--data", "data", "x"),
            &["tandem.toml: server.listen is \"here\"", "right would be \"127.0.0.1:8080\""],
        ),
        (
            given().variable("TANDEM__SERVER__LISTEN", "here"),
            &["environment variable TANDEM__SERVER__LISTEN: server.listen is \"here\""],
        ),
        (
            given().variable("TANDEM__SERVER__PORT", "80"),
            &["environment variable TANDEM__SERVER__PORT: there is no setting server.port"],
        ),
        (given().flag("--listen", "server.listen", "80"), &["flag --listen: server.listen is \"80\""]),
        (given().file("[realtime]\nprovider = 'ably'"), &["realtime.ably.key must be given as appId.keyId:secret"]),
        (
            given().file("[realtime]\nuser_channel = 'all'"),
            &["tandem.toml: realtime.user_channel is \"all\", but must contain {userId}"],
        ),
        (
            given().variable("TANDEM__PUSH__BASE_URL", "exp.host"),
            &["TANDEM__PUSH__BASE_URL: push.base_url is \"exp.host\", but must be an http"],
        ),
    ];
    for (given, parts) in cases {
        let line = given.refusal();
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?} in: {line}");
    }
}

#[test]
fn an_implausible_setting_is_refused() {
    for (toml, parts) in [
        ("[server]\nworkers = 513", "server.workers is 513, but must be 0 to 512"),
        (
            "[server]\nclient_request_timeout = '1ns'",
            "server.client_request_timeout is \"1ns\", but must be 100ms to 5m",
        ),
        ("[realtime]\ntoken_ttl = '48h'", "realtime.token_ttl is \"48h\", but must be 5s to 24h"),
        ("[auth]\nleeway = '5M'", "auth.leeway is \"5M\", but must be 0s to 5m (M stands for months, m for minutes)"),
        ("[push]\nlinger = '5s'", "push.linger is \"5s\", but must be 0s to 50ms"),
        ("[push]\nrate = 601", "push.rate is 601, but must be 1 to 600"),
        (
            "[push]\nreceipt_schedule = ['15m', '2days']",
            "push.receipt_schedule is [\"15m\", \"2days\"], but must be 1ms to 24h",
        ),
        ("[push]\nreceipt_schedule = []", "push.receipt_schedule is [], but must be a list of durations"),
        (
            "[push]\nbase_url = 'https://exp.host/--/api'",
            "but must be an http or https address of scheme, host and port",
        ),
        ("[push]\naccess_token = ''", "push.access_token is empty; give a value, or leave the setting out"),
        ("[server.cors]\nallowed_origins = ['app.example']", "server.cors.allowed_origins has \"app.example\""),
        ("[server.cors]\nallowed_origins = ['https://app.example/']", "without a slash at the end"),
        ("[server]\ntrusted_proxies = ['localhost']", "server.trusted_proxies.0 is \"localhost\""),
        ("[server.limits]\nably_token = -5", "server.limits.ably_token is -5, but must be"),
        (
            "[invitations]\nurl = 'https://app.example/invite'",
            "invitations.url is \"https://app.example/invite\", but must contain {invitationId}",
        ),
        ("[auth]\naudience = '[\"app\"'", "auth.audience is \"[\\\"app\\\"\": not a list"),
        ("[realtime]\nsession_channel = '{sessionId}'", "a channel's name begins with a namespace"),
        (
            "[[realtime.embedded.keys]]\nname = 'a.b'\nsecret = 's'\ncapability = '{'",
            "realtime.embedded.keys has for 'a.b' a wrong capability",
        ),
    ] {
        let line = given().file(toml).refusal();
        assert!(line.contains(parts), "{parts} in: {line}");
    }
}

#[test]
fn every_setting_can_come_from_the_environment_in_any_order() {
    let (certificate, key) = (("TANDEM__SERVER__TLS__CERTIFICATE", "/c.pem"), ("TANDEM__SERVER__TLS__KEY", "/k.pem"));
    for [first, second] in [[certificate, key], [key, certificate]] {
        let settings = given().variable(first.0, first.1).variable(second.0, second.1).settings();
        let tls = settings.server.tls.expect("a certificate");
        assert_eq!((tls.certificate, tls.key), (Some("/c.pem".into()), Some("/k.pem".into())));
    }
    let line = given().variable(key.0, key.1).refusal();
    assert!(line.contains("TANDEM__SERVER__TLS__KEY: server.tls has no certificate, which it must have"), "{line}");
}

#[test]
fn a_variable_may_name_the_file_that_holds_the_value() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("secret");
    fs::write(&file, "a secret that a service manager hands over\n").unwrap();
    let given = given().variable("TANDEM__AUTH__HS256_SECRET_FILE", file.to_str().unwrap());
    let secret = given.settings().auth.hs256_secret.unwrap();
    assert_eq!(secret.reveal(), "a secret that a service manager hands over");
    let line = self::given().variable("TANDEM__APP__SERVICE_TOKEN_FILE", "/no/such/file").refusal();
    assert!(
        line.contains("TANDEM__APP__SERVICE_TOKEN_FILE: app.service_token cannot be read from /no/such/file"),
        "{line}"
    );
}

#[test]
fn a_missing_file_is_reported() {
    let sources = Sources { file: Some(PathBuf::from("no/such.toml")), ..Sources::default() };
    let line = Settings::load(&sources).unwrap_err().to_string();
    assert!(line.starts_with("no/such.toml: cannot be read"), "{line}");
}

#[test]
fn no_message_shows_a_secret() {
    let canary = "cAnArY";
    for (key, value) in [
        ("[auth]\nhs256_secret", format!("['{canary}']")),
        ("[auth]\nhs256_secret", format!("{{a = '{canary}'}}")),
        ("[push]\naccess_token", format!("['{canary}']")),
        ("[realtime]\nprovider = 'ably'\n[realtime.ably]\nkey", format!("'{canary}'")),
        ("[realtime.embedded]\nkeys", format!("'{canary}'")),
        ("[realtime.embedded]\nkeys", format!("[{{name = 'x', secret = '{canary}'}}]")),
    ] {
        let line = given().file(&format!("{key} = {value}")).refusal();
        assert!(!line.contains(canary), "{line}");
    }
    let settings = given()
        .file(&format!(
            "[auth]\nhs256_secret = '{canary}'\n[push]\naccess_token = '{canary}'\n[realtime.ably]\nkey = 'a.b:{canary}'\n\
             [[realtime.embedded.keys]]\nname = 'a.b'\nsecret = '{canary}'"
        ))
        .settings();
    assert!(!format!("{settings:?}").contains(canary));
}

fn tandem(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(arguments)
        .arg("--data")
        .arg(data)
        .env_remove("RUST_LOG")
        .output()
        .expect("the program runs")
}

#[test]
fn a_wrong_setting_ends_the_program_with_one_line_and_code_2() {
    let data = tempfile::tempdir().unwrap();
    let output = tandem(data.path(), &["serve", "--listen", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("tandem: flag --listen: server.listen is \"nowhere\""), "{told}");
    assert!(output.stdout.is_empty());
}

#[test]
fn a_flag_that_a_command_would_pass_over_is_refused() {
    let data = tempfile::tempdir().unwrap();
    for command in ["demo", "fake-expo"] {
        let output = tandem(data.path(), &[command]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("takes no --data"), "{output:?}");
    }
}

#[test]
fn a_log_filter_that_cannot_be_read_is_refused() {
    let data = tempfile::tempdir().unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_tandem"));
    let output = check.args(["check", "--data"]).arg(data.path()).env("RUST_LOG", "!!!").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("RUST_LOG: is \"!!!\", but must be a filter"),
        "{output:?}"
    );
}

#[test]
fn a_token_is_signed_with_the_data_directorys_secret() {
    let data = tempfile::tempdir().unwrap();
    let secret = "a secret that a node has made for itself";
    fs::write(data.path().join("auth.secret"), secret).unwrap();
    let output = tandem(data.path(), &["token", "--user", "alex", "--name", "Alex", "--ttl", "2h"]);
    assert!(output.status.success(), "{output:?}");
    let token = String::from_utf8(output.stdout).unwrap();
    let key = jsonwebtoken::DecodingKey::from_secret(secret.trim().as_bytes());
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.validate_aud = false;
    let claims = jsonwebtoken::decode::<serde_json::Value>(token.trim(), &key, &validation).unwrap().claims;
    assert_eq!((&claims["sub"], &claims["name"]), (&"alex".into(), &"Alex".into()));
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 7200);
}

#[test]
fn a_token_of_a_directory_where_no_node_has_run_is_refused_and_nothing_is_made() {
    let place = tempfile::tempdir().unwrap();
    let typo = place.path().join("typo");
    for data in [place.path(), &typo] {
        let output = tandem(data, &["token", "--user", "alex"]);
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{told}");
        assert!(told.contains("no auth.secret") && told.contains(data.to_str().unwrap()), "{told}");
    }
    assert_eq!(place.path().read_dir().unwrap().count(), 0, "looking makes nothing");
}

#[test]
fn a_store_is_copied_from_the_command_line() {
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = ["sled", "redb"].map(|engine| format!("{engine}:{}/{engine}", directory.path().display()));
    tandem::store::open(&from.parse().unwrap(), &tandem::store::Options::default()).unwrap();
    let output = tandem(directory.path(), &["store", "copy", "--from", &from, "--to", &to]);
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("verified"), "{output:?}");

    // Where a node would look for them.
    let (old, new) = (directory.path().join("old"), directory.path().join("new"));
    fs::create_dir(&old).unwrap();
    fs::write(old.join("auth.secret"), "a secret\n").unwrap();
    let at = |data: &Path| format!("sled:{}", data.join("store").display());
    tandem::store::open(&at(&old).parse().unwrap(), &tandem::store::Options::default()).unwrap();
    let output = tandem(directory.path(), &["store", "copy", "--from", &at(&old), "--to", &at(&new)]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("copied auth.secret"), "{output:?}");
    assert_eq!(fs::read_to_string(new.join("auth.secret")).unwrap(), "a secret\n");
    assert_eq!(fs::metadata(new.join("auth.secret")).unwrap().permissions().mode() & 0o777, 0o600);
    let elsewhere = format!("sled:{}", directory.path().join("elsewhere").display());
    let output = tandem(directory.path(), &["store", "copy", "--from", &at(&old), "--to", &elsewhere]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("not copied: the secrets"), "{output:?}");

    let again = tandem(directory.path(), &["store", "copy", "--from", &from, "--to", &to]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("not empty"), "{again:?}");
    let wrong = tandem(directory.path(), &["store", "copy", "--from", "sled", "--to", &to]);
    assert_eq!(wrong.status.code(), Some(2));
    for address in ["postgres://tandem:hunter2@db/tandem", "mysql://tandem:hunter2@db/tandem"] {
        for arguments in [&["copy", "--from", &from, "--to", address][..], &["verify", "--store", address]] {
            let refused = tandem(directory.path(), &[&["store"], arguments].concat());
            assert_eq!(refused.status.code(), Some(2), "{refused:?}");
            let told = String::from_utf8_lossy(&refused.stderr);
            assert!(told.contains("must") && !told.contains("hunter2"), "{told}");
        }
    }
}
