//! Parsing of request fields. A refusal names the field, what was found and what would be right. It never repeats the
//! value.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use strum::VariantArray;

use crate::{ids::InvalidId, private_text::PrivateText, rejection::Rejection, time::Timestamp};

pub(crate) fn required<T>(field: &str, value: Option<T>, expected: impl fmt::Display) -> Result<T, Rejection> {
    value.ok_or_else(|| Rejection::invalid(field, "nothing", expected))
}

/// A text with a length in characters. It must not be blank, unless it may be empty.
pub fn text(field: &str, value: Option<String>, length: RangeInclusive<usize>) -> Result<PrivateText, Rejection> {
    let expected = || format!("a text of {} to {} characters", length.start(), length.end());
    let text = required(field, value, expected())?;
    let found = text.chars().count();
    if !length.contains(&found) {
        return Err(Rejection::invalid(field, format_args!("{found} characters"), expected()));
    }
    if *length.start() > 0 && text.trim().is_empty() {
        return Err(Rejection::invalid(field, "a blank text", expected()));
    }
    Ok(PrivateText::new(text))
}

/// An optional text. A blank text counts as left out.
pub fn optional_text(field: &str, value: Option<String>, longest: usize) -> Result<Option<PrivateText>, Rejection> {
    let Some(value) = value else { return Ok(None) };
    let text = text(field, Some(value), 0..=longest)?;
    Ok(Some(text).filter(|text| !text.reveal().trim().is_empty()))
}

pub(crate) fn id<T: FromStr<Err = InvalidId>>(field: &str, value: &str) -> Result<T, Rejection> {
    value.parse().map_err(|invalid: InvalidId| {
        let found = format_args!("{} characters that are not one", value.chars().count()).to_string();
        Rejection::invalid(field, found, format_args!("{}: {}", invalid.what, invalid.expected))
    })
}

/// A list of ids without duplicates.
pub(crate) fn ids<T: FromStr<Err = InvalidId> + PartialEq>(
    field: &str,
    values: &[String],
) -> Result<Vec<T>, Rejection> {
    let mut ids = Vec::with_capacity(values.len());
    for value in values {
        let id: T = id(field, value)?;
        if ids.contains(&id) {
            return Err(Rejection::invalid(field, "the same id twice", "a list of different ids"));
        }
        ids.push(id);
    }
    Ok(ids)
}

/// One of a closed set of names.
pub fn name<T: Copy>(field: &str, value: Option<String>, names: &[(&str, T)]) -> Result<T, Rejection> {
    let expected = || {
        let names: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        format!("one of {}", names.join(", "))
    };
    let value = required(field, value, expected())?;
    let known = names.iter().find(|(name, _)| *name == value);
    known.map(|(_, value)| *value).ok_or_else(|| Rejection::invalid(field, "another name", expected()))
}

/// A variant by its name in JSON.
pub(crate) fn variant<T>(field: &str, value: Option<String>) -> Result<T, Rejection>
where
    T: VariantArray + Copy + Into<&'static str>,
{
    let names: Vec<_> = T::VARIANTS.iter().map(|variant| ((*variant).into(), *variant)).collect();
    name(field, value, &names)
}

/// As [`variant`], if there is a value.
pub(crate) fn optional_variant<T>(field: &str, value: Option<String>) -> Result<Option<T>, Rejection>
where
    T: VariantArray + Copy + Into<&'static str>,
{
    value.map(|value| variant(field, Some(value))).transpose()
}

/// A point in time or a date, which stands for its first moment in UTC.
pub(crate) fn date_or_time(field: &str, value: Option<String>) -> Result<Option<Timestamp>, Rejection> {
    let Some(value) = value else { return Ok(None) };
    let date = || value.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    Timestamp::parse(&value)
        .ok()
        .or_else(|| date().map(|day| Timestamp::from_millis(day.timestamp().as_millisecond())))
        .map(Some)
        .ok_or_else(|| {
            Rejection::invalid(
                field,
                "something else",
                "an RFC 3339 date or time, as 2026-02-01 or 2026-02-01T09:00:00Z",
            )
        })
}
