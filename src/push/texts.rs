//! The texts of notifications. They are generic and depend only on the event's name. English is built in; the settings
//! replace and translate texts.

use std::collections::BTreeMap;

use tandem_actors::domain::{EventName, event::Push};

use super::config::Text;

/// The text of all events without a text of their own.
pub const DEFAULT: &str = "default";
const ENGLISH: &str = "en";

const GENERAL: (&str, &str) = ("Meet Without Fear", "You have an update");

/// Texts by lower-case locale (`de`, `de-at`), then by event.
#[derive(Clone, Debug)]
pub struct Texts(BTreeMap<String, BTreeMap<String, Text>>);

impl Texts {
    pub fn new(configured: &BTreeMap<String, BTreeMap<String, Text>>) -> Self {
        let text = |title: &str, body: &str| Text { title: title.into(), body: body.into() };
        let worded = EventName::ALL.iter().filter_map(|name| match name.push() {
            Push::Worded(_, title, body) => Some((name.as_str().to_owned(), text(title, body))),
            Push::Never | Push::General(_) => None,
        });
        let general = (DEFAULT.to_owned(), text(GENERAL.0, GENERAL.1));
        let english: BTreeMap<_, _> = worded.chain([general]).collect();
        let mut texts = BTreeMap::from([(ENGLISH.to_owned(), english)]);
        for (locale, by_event) in configured {
            texts.entry(normal(locale)).or_default().extend(by_event.clone());
        }
        Self(texts)
    }

    /// The text in the device's language, if need be the general one; else in English. So one user never sees a
    /// mixture.
    pub fn pick(&self, locale: Option<&str>, event: &str) -> &Text {
        let wanted = locale.map(normal).unwrap_or_default();
        let language = wanted.split('-').next().unwrap_or_default();
        let find = |locales: &[&str], event: &str| locales.iter().find_map(|locale| self.0.get(*locale)?.get(event));
        find(&[&wanted, language], event)
            .or_else(|| find(&[&wanted, language], DEFAULT))
            .or_else(|| find(&[ENGLISH], event))
            .or_else(|| find(&[ENGLISH], DEFAULT))
            .expect("there is an English default, and settings only replace and add")
    }

    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &Text)> {
        self.0.iter().flat_map(|(locale, events)| {
            events.iter().map(move |(event, text)| (locale.as_str(), event.as_str(), text))
        })
    }
}

/// `de_AT` and `de-AT` are the same.
fn normal(locale: &str) -> String {
    locale.replace('_', "-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn german() -> Texts {
        let text = |title: &str| Text { title: title.into(), body: "…".into() };
        let de = BTreeMap::from([
            ("partner.signed_compact".to_owned(), text("Bereit")),
            (DEFAULT.to_owned(), text("Neuigkeiten")),
        ]);
        let at = BTreeMap::from([("partner.signed_compact".to_owned(), text("Bereit, gell"))]);
        Texts::new(&BTreeMap::from([("de".to_owned(), de), ("de_AT".to_owned(), at)]))
    }

    #[test]
    fn a_text_is_chosen_by_region_then_language_then_english() {
        let texts = german();
        for (locale, event, title) in [
            (Some("de-AT"), "partner.signed_compact", "Bereit, gell"),
            (Some("de_at"), "partner.signed_compact", "Bereit, gell"),
            (Some("de-CH"), "partner.signed_compact", "Bereit"),
            (Some("de-AT"), "session.resumed", "Neuigkeiten"),
            (Some("de"), "agreement.proposed", "Neuigkeiten"),
            (Some("fr-FR"), "partner.signed_compact", "Partner is ready"),
            (Some("fr-FR"), "session.resumed", "Meet Without Fear"),
            (Some(""), "session.resumed", "Meet Without Fear"),
            (None, "partner.empathy_shared", "Partner shared their empathy attempt"),
        ] {
            assert_eq!(texts.pick(locale, event).title, title, "{locale:?} {event}");
        }
    }
}
