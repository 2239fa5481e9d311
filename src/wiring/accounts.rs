//! Users' devices and preferences as HTTP sees them.

use std::sync::Arc;

use tandem_actors::{
    Refusal,
    domain::{Code, Rejection, ids::UserId},
    ports::BoxFuture,
};

use crate::{
    http::{
        ports::PushAccounts,
        push_accounts::{Platform, Preferences, PreferencesPatch, QuietHours, RegisterPushToken},
    },
    push::{self, Devices, DevicesError, PushToken, Registration},
};

pub struct Accounts(pub Arc<Devices>);

type Answer<T> = BoxFuture<Result<T, Refusal>>;

fn ready<T: Send + 'static>(answer: Result<T, Refusal>) -> Answer<T> {
    Box::pin(std::future::ready(answer))
}

impl PushAccounts for Accounts {
    fn register(&self, user: UserId, token: RegisterPushToken) -> Answer<()> {
        let registration = match registration(token) {
            Ok(registration) => registration,
            Err(refusal) => return ready(Err(refusal)),
        };
        let devices = self.0.clone();
        Box::pin(async move { devices.register(user, registration).await.map_err(refusal) })
    }

    fn remove(&self, user: UserId, token: Option<String>) -> Answer<()> {
        let devices = self.0.clone();
        Box::pin(async move {
            match token.as_deref().map(parse_token).transpose()? {
                Some(token) => devices.remove(user, token).await.map(drop),
                None => devices.remove_all(user).await,
            }
            .map_err(refusal)
        })
    }

    fn preferences(&self, user: UserId) -> Answer<Preferences> {
        ready(self.0.preferences(&user).map(shown).map_err(Refusal::from))
    }

    fn change_preferences(&self, user: UserId, patch: PreferencesPatch) -> Answer<Preferences> {
        let patch = match wanted(patch) {
            Ok(patch) => patch,
            Err(refusal) => return ready(Err(refusal)),
        };
        let devices = self.0.clone();
        Box::pin(async move { devices.patch_preferences(user, patch).await.map(shown).map_err(refusal) })
    }

    fn push_enabled(&self, user: &UserId) -> bool {
        self.0.pushes_enabled(user).unwrap_or_else(|error| {
            tracing::error!(%error, "devices cannot be read");
            false
        })
    }

    fn erase(&self, user: UserId) -> Answer<()> {
        let devices = self.0.clone();
        Box::pin(async move { devices.erase(user).await.map_err(refusal) })
    }
}

fn parse_token(text: &str) -> Result<PushToken, Refusal> {
    let expected = "ExponentPushToken[…], ExpoPushToken[…], or the 8-4-4-4-12 form";
    text.parse().map_err(|_| Rejection::invalid("pushToken", "another text", expected).into())
}

fn registration(request: RegisterPushToken) -> Result<Registration, Refusal> {
    if let Some(zone) = &request.time_zone
        && !push::preferences::is_time_zone(zone)
    {
        return Err(Rejection::invalid("timeZone", "another text", "an IANA time zone, as Europe/Berlin").into());
    }
    Ok(Registration {
        token: parse_token(&request.push_token)?,
        platform: Some(match request.platform {
            Platform::Ios => push::Platform::Ios,
            Platform::Android => push::Platform::Android,
        }),
        locale: request.locale,
        time_zone: request.time_zone,
    })
}

fn wanted(patch: PreferencesPatch) -> Result<push::PreferencesPatch, Refusal> {
    let invalid =
        |error: push::preferences::InvalidQuietHours| Rejection::new(Code::ValidationError, error.to_string());
    let quiet_hours =
        |QuietHours { start, end, time_zone }| push::QuietHours::parse(&start, &end, time_zone.as_deref());
    Ok(push::PreferencesPatch {
        push_enabled: patch.push_enabled,
        new_invitations: patch.new_invitations,
        partner_actions: patch.partner_actions,
        follow_up_reminders: patch.follow_up_reminders,
        quiet_hours: match patch.quiet_hours {
            None => None,
            Some(hours) => Some(hours.map(quiet_hours).transpose().map_err(invalid)?),
        },
    })
}

fn shown(preferences: push::Preferences) -> Preferences {
    let quiet_hours = preferences.quiet_hours.as_ref().map(push::QuietHours::written);
    Preferences {
        push_enabled: preferences.push_enabled,
        new_invitations: preferences.new_invitations,
        partner_actions: preferences.partner_actions,
        follow_up_reminders: preferences.follow_up_reminders,
        quiet_hours: quiet_hours.map(|(start, end, time_zone)| QuietHours { start, end, time_zone }),
    }
}

fn refusal(error: DevicesError) -> Refusal {
    Refusal::unavailable(error.to_string(), std::time::Duration::from_secs(1))
}
