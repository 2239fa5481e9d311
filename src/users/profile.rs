//! The profile of a user, and how the user may change it.

use serde::{Deserialize, Serialize};
use tandem_actors::domain::{
    Privacy, Rejection,
    command::{Rename, fields},
    ids::UserId,
    private_text::PrivateText,
    time::Timestamp,
};
use utoipa::ToSchema;

/// One user of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub email: Option<PrivateText>,
    /// The name that partners see.
    pub name: Option<PrivateText>,
    pub first_name: Option<PrivateText>,
    pub last_name: Option<PrivateText>,
    /// When the user enabled unlocking by fingerprint or face. Absent if disabled.
    pub biometric_enrolled_at: Option<Timestamp>,
    pub privacy: PrivacyPreferences,
    /// The user's client is the product's own app.
    pub app: bool,
    pub created_at: Timestamp,
    /// Tokens that were issued until then are not accepted.
    pub signed_out_at: Option<Timestamp>,
}

/// The stored row. The id is in its key.
#[derive(Serialize, Deserialize)]
pub(super) struct ProfileRow {
    email: Option<PrivateText>,
    name: Option<PrivateText>,
    created_at: Timestamp,
    #[serde(default)]
    first_name: Option<PrivateText>,
    #[serde(default)]
    last_name: Option<PrivateText>,
    #[serde(default)]
    biometric_enrolled_at: Option<Timestamp>,
    #[serde(default)]
    privacy: PrivacyPreferences,
    #[serde(default)]
    app: bool,
    #[serde(default)]
    signed_out_at: Option<Timestamp>,
}

impl ProfileRow {
    pub fn into_user(self, id: &UserId) -> User {
        let ProfileRow {
            email,
            name,
            created_at,
            first_name,
            last_name,
            biometric_enrolled_at,
            privacy,
            app,
            signed_out_at,
        } = self;
        User {
            id: id.clone(),
            email,
            name,
            first_name,
            last_name,
            biometric_enrolled_at,
            privacy,
            app,
            created_at,
            signed_out_at,
        }
    }
}

impl From<&User> for ProfileRow {
    fn from(user: &User) -> Self {
        let User {
            id: _,
            email,
            name,
            first_name,
            last_name,
            biometric_enrolled_at,
            privacy,
            app,
            created_at,
            signed_out_at,
        } = user.clone();
        Self { email, name, created_at, first_name, last_name, biometric_enrolled_at, privacy, app, signed_out_at }
    }
}

/// What a user lets others see, as the app reads and writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PrivacyPreferences {
    /// Whether partners see when the user was last there.
    pub show_activity_status: bool,
    /// Whether the user can accept invitations.
    pub allow_session_invites: bool,
    /// Kept for the app's own analytics; the coordinator has none.
    pub analytics_opt_out: bool,
}

impl Default for PrivacyPreferences {
    fn default() -> Self {
        Self { show_activity_status: true, allow_session_invites: true, analytics_opt_out: false }
    }
}

impl From<PrivacyPreferences> for Privacy {
    fn from(preferences: PrivacyPreferences) -> Self {
        Self {
            refuses_invitations: !preferences.allow_session_invites,
            hides_activity: !preferences.show_activity_status,
        }
    }
}

/// Fields that are absent stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(example = json!({ "showActivityStatus": false }))]
pub struct PrivacyPatch {
    pub show_activity_status: Option<bool>,
    pub allow_session_invites: Option<bool>,
    pub analytics_opt_out: Option<bool>,
}

impl PrivacyPreferences {
    pub fn patch(&mut self, patch: PrivacyPatch) {
        let set = |field: &mut bool, value: Option<bool>| *field = value.unwrap_or(*field);
        set(&mut self.show_activity_status, patch.show_activity_status);
        set(&mut self.allow_session_invites, patch.allow_session_invites);
        set(&mut self.analytics_opt_out, patch.analytics_opt_out);
    }
}

/// At least one of the three. Fields that are absent stay as they are.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
#[schema(example = json!({ "firstName": "Anna", "lastName": "Berg" }))]
pub struct NamesRequest {
    /// The name that partners see, 1 to 100 characters. If it is absent while a part of it changes, it becomes the
    /// first and the last name.
    #[schema(min_length = 1, max_length = 100, pattern = r"\S")]
    name: Option<String>,
    /// 1 to 50 characters.
    #[schema(min_length = 1, max_length = 50, pattern = r"\S")]
    first_name: Option<String>,
    /// At most 50 characters; an empty text removes it.
    #[schema(max_length = 50)]
    last_name: Option<String>,
}

/// New names of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    name: Option<PrivateText>,
    first: Option<PrivateText>,
    /// `Some(None)` removes it.
    last: Option<Option<PrivateText>>,
}

impl TryFrom<NamesRequest> for Names {
    type Error = Rejection;

    fn try_from(request: NamesRequest) -> Result<Self, Rejection> {
        let NamesRequest { name, first_name, last_name } = request;
        if name.is_none() && first_name.is_none() && last_name.is_none() {
            return Err(Rejection::invalid("the body", "none of them", "name, firstName or lastName"));
        }
        let text = |field, value: Option<String>, longest| {
            value.map(|value| fields::text(field, Some(value), 1..=longest)).transpose()
        };
        let last = last_name.map(|last| fields::optional_text("lastName", Some(last), 50)).transpose()?;
        Ok(Self { name: text("name", name, 100)?, first: text("firstName", first_name, 50)?, last })
    }
}

impl Names {
    /// Sets the user's names.
    pub fn change(self, user: &mut User) {
        let Names { name, first, last } = self;
        user.first_name = first.or(user.first_name.take());
        user.last_name = last.unwrap_or(user.last_name.take());
        user.name = name.or_else(|| user.full_name()).or(user.name.take());
    }
}

impl User {
    fn full_name(&self) -> Option<PrivateText> {
        let first = self.first_name.as_ref()?.reveal().trim();
        let last = self.last_name.as_ref().map_or("", |last| last.reveal().trim());
        Some(PrivateText::new(format!("{first} {last}").trim()))
    }

    /// The new name for the user's sessions.
    pub fn as_rename(&self) -> Rename {
        Rename { name: self.name.clone() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tandem_actors::records;

    use super::*;

    fn user(name: &str) -> User {
        User {
            id: "user_anna".parse().unwrap(),
            email: None,
            name: Some(PrivateText::new(name)),
            first_name: None,
            last_name: None,
            biometric_enrolled_at: None,
            privacy: PrivacyPreferences::default(),
            app: false,
            created_at: Timestamp::default(),
            signed_out_at: None,
        }
    }

    fn names(body: serde_json::Value) -> Result<Names, Rejection> {
        serde_json::from_value::<NamesRequest>(body).unwrap().try_into()
    }

    #[test]
    fn the_name_is_made_of_its_parts_unless_it_is_given() {
        let mut anna = user("anna");
        for (body, name, first, last) in [
            (json!({ "lastName": "Berg" }), "anna", None, Some("Berg")),
            (json!({ "firstName": "Anna" }), "Anna Berg", Some("Anna"), Some("Berg")),
            (json!({ "firstName": "Anne", "name": "Annie" }), "Annie", Some("Anne"), Some("Berg")),
            (json!({ "lastName": "" }), "Anne", Some("Anne"), None),
            (json!({ "name": "Ann" }), "Ann", Some("Anne"), None),
        ] {
            names(body.clone()).unwrap().change(&mut anna);
            let shown = |words: &Option<PrivateText>| words.as_ref().map(|words| words.reveal().to_owned());
            let found = (shown(&anna.name), shown(&anna.first_name), shown(&anna.last_name));
            let wanted = (Some(name.to_owned()), first.map(str::to_owned), last.map(str::to_owned));
            assert_eq!(found, wanted, "{body}");
        }
    }

    #[test]
    fn empty_and_long_names_are_refused() {
        for body in [
            json!({}),
            json!({ "name": null }),
            json!({ "name": " " }),
            json!({ "firstName": "" }),
            json!({ "firstName": "x".repeat(51) }),
            json!({ "lastName": "x".repeat(51) }),
            json!({ "name": "x".repeat(101) }),
        ] {
            assert!(names(body.clone()).is_err(), "{body}");
        }
    }

    #[test]
    fn rows_without_privacy_preferences_can_be_read() {
        #[derive(Serialize)]
        struct Earlier {
            email: Option<PrivateText>,
            name: Option<PrivateText>,
            created_at: Timestamp,
        }
        let row = records::encode(&Earlier { email: None, name: None, created_at: Timestamp::default() });
        let read = records::decode::<ProfileRow>(&row).unwrap().into_user(&"user_anna".parse().unwrap());
        assert_eq!((read.privacy, read.first_name), (PrivacyPreferences::default(), None));
    }
}
