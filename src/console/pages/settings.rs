//! The settings that the node was started with, each with its origin. Secrets are not shown.

use maud::{Markup, html};

use crate::{
    config::{EffectiveSetting, Origin},
    console::{
        Console,
        view::{Page, Section},
    },
};

pub fn page(console: &Console) -> Page {
    let (given, defaults): (Vec<_>, Vec<_>) =
        console.settings.iter().partition(|setting| !matches!(setting.origin, Origin::Default));
    let (set, unset): (Vec<_>, Vec<_>) = defaults.into_iter().partition(|setting| setting.value.is_some());
    let content = html! {
        p.hint { "As the node was started. What can change while it runs is named in config.toml." }
        h2 { "Given " span.hint { (given.len()) } }
        @if given.is_empty() { p.hint { "None: the node runs on defaults." } } @else { (table("Given settings", &given, OriginColumn::Shown)) }
        h2 { "Defaults " span.hint { (set.len()) } }
        (table("Defaults", &set, OriginColumn::Hidden))
        h2 { "Not set " span.hint { (unset.len()) } }
        ul.plain { @for setting in &unset { li { code { (setting.key) } } } }
    };
    Page { title: "Settings".to_owned(), sections: vec![Section::fixed("settings", content)] }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OriginColumn {
    Shown,
    Hidden,
}

fn table(label: &str, settings: &[&EffectiveSetting], origins: OriginColumn) -> Markup {
    let with_origin = origins == OriginColumn::Shown;
    html! {
        div.wide tabindex="0" role="region" aria-label=(label) {
            table {
                thead { tr { th { "Setting" } th { "Value" } @if with_origin { th { "From" } } } }
                tbody {
                    @for setting in settings {
                        tr {
                            td { code { (setting.key) } }
                            td.id { (setting.value.as_deref().unwrap_or("")) }
                            @if with_origin { td { (setting.origin) } }
                        }
                    }
                }
            }
        }
    }
}
