//! Nicknames, as they are read. Each is shown only to the user who gave it.

use crate::{
    domain::{Answer, ids::UserId, private_text::PrivateText},
    ports::{Store, StoreError},
    rows::{keys, records},
};

/// The nickname that `user` has given to `person`.
pub(crate) fn find(store: &dyn Store, user: &UserId, person: &UserId) -> Result<Option<PrivateText>, StoreError> {
    store.get(&keys::nickname(user, person))?.map(|row| records::decode(&row)).transpose()
}

/// Puts the viewer's nickname for the partner into an answer that shows the partner.
pub(crate) fn put_into(answer: &mut Answer, store: &dyn Store, viewer: &UserId) -> Result<(), StoreError> {
    let Some(partner) = answer.partner_mut() else { return Ok(()) };
    let Some(person) = partner.id.as_ref().filter(|_| partner.joined) else { return Ok(()) };
    if let Some(nickname) = find(store, viewer, person)? {
        partner.nickname = Some(nickname);
    }
    Ok(())
}
