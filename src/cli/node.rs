//! Commands that run a node or talk to a running one.

use std::{future::Future, net::SocketAddr};

use tandem_actors::domain::ids::{Seq, SessionId};

use super::{
    CommandResult, Failure,
    output::{announce, print},
};
use crate::{
    config::{Settings, Sources},
    demo, operator,
    push::fake_expo::FakeExpo,
    server::{self, StartError},
    telemetry,
};

fn block_on(future: impl Future<Output = CommandResult>) -> CommandResult {
    actix_web::rt::System::new().block_on(future)
}

pub fn serve(settings: Settings, sources: Sources) -> CommandResult {
    let metrics = telemetry::start_metrics()?;
    block_on(async { server::run(settings, sources, metrics, announce).await.map_err(refused) })
}

/// A key of the store that is missing or wrong is a wrong setting, which only the store can tell.
fn refused(error: StartError) -> Failure {
    let is_of_the_settings = matches!(&error, StartError::Store(error) if error.is_about_the_key());
    let failure = Failure::new(error);
    if is_of_the_settings { Failure { code: 2, ..failure } } else { failure }
}

/// The name of the user who runs this.
pub fn this_user() -> String {
    let known = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    known.unwrap_or_else(|| "operator".to_owned())
}

pub fn console(settings: &Settings, name: Option<String>, at: Option<&str>) -> CommandResult {
    let name = name.unwrap_or_else(this_user);
    block_on(async { Ok(print(operator::console_link(&settings.data, &name, at).await?)?) })
}

pub fn release_session(settings: &Settings, session: &SessionId) -> CommandResult {
    block_on(async {
        let path = format!("sessions/{session}/release");
        let answer = operator::call(&settings.data, reqwest::Method::POST, &path).await?;
        let quarantine = &answer["quarantine"];
        if answer["released"] == true {
            print(format_args!("released {session}: it works again"))?;
        } else if let Some(reason) = quarantine["reason"].as_str() {
            let advice = quarantine["advice"].as_str().unwrap_or_default();
            return Err(Failure::new(format_args!("{session} went back into quarantine at once: {reason}; {advice}")));
        } else if let Some(problem) = answer["problem"].as_str() {
            return Err(Failure::new(format_args!("{session} was released and does not answer yet: {problem}")));
        } else {
            print(format_args!("{session} is not in quarantine"))?;
        }
        Ok(())
    })
}

pub fn list_quarantined(settings: &Settings) -> CommandResult {
    block_on(async {
        let answer = operator::call(&settings.data, reqwest::Method::GET, "quarantine").await?;
        print(serde_json::to_string_pretty(&answer)?)?;
        Ok(())
    })
}

pub fn explain_session(settings: &Settings, session: &SessionId, seq: Option<Seq>) -> CommandResult {
    block_on(async {
        let query = seq.map(|seq| format!("?seq={seq}")).unwrap_or_default();
        let path = format!("sessions/{session}/why{query}");
        let answer = operator::call(&settings.data, reqwest::Method::GET, &path).await?;
        Ok(print(serde_json::to_string_pretty(&answer)?)?)
    })
}

pub fn demo(keep: bool) -> CommandResult {
    block_on(async { Ok(demo::run(demo::Options { keep }).await?) })
}

pub fn phones() -> CommandResult {
    block_on(async { Ok(demo::open().await?) })
}

pub fn fake_expo(listen: SocketAddr) -> CommandResult {
    block_on(async {
        let stand_in = FakeExpo::start(&listen.to_string())
            .await
            .map_err(|error| Failure::new(format_args!("cannot listen on {listen}: {error}")))?;
        let url = &stand_in.url;
        announce(format!("listening on {url}\nTANDEM__PUSH__BASE_URL={url} sends the pushes of a node here"));
        tokio::signal::ctrl_c().await?;
        stand_in.stop().await;
        Ok(())
    })
}
