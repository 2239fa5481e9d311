//! Devices that Expo calls registered or unregistered. If suspiciously many are unregistered, they are kept in
//! quarantine.

use std::{sync::Arc, time::Duration};

use tandem_actors::{
    domain::{ids::UserId, time::Timestamp},
    ports::{Change, StoreError},
    records,
};

use super::{Devices, DevicesError, changed::ChangedUsers};
use crate::push::{
    reach::{Device, DeviceState},
    rows,
    tokens::DeviceId,
};

/// Recently retired devices. They move to quarantine if too many are retired.
pub(super) type Retirements = Vec<(Timestamp, UserId, DeviceId)>;

const QUARANTINE: Duration = Duration::from_secs(60 * 60);
const REMEMBERED_RETIREMENTS: usize = 1_000;

impl Devices {
    /// Counts devices that Expo calls registered.
    pub fn count_registered(&self, devices: usize) {
        let (mut guard, now) = (self.guard.lock(), self.clock.settled());
        (0..devices).for_each(|_| guard.saw_registered(now));
    }

    /// Expo was asked at `asked_at` to reach a device, and says that the app is not installed. The verdict does not
    /// apply to a device that was registered after that.
    pub async fn mark_unregistered(
        self: &Arc<Self>,
        user: UserId,
        id: DeviceId,
        asked_at: Timestamp,
    ) -> Result<(), DevicesError> {
        self.change(move |devices, retired| {
            let now = devices.clock.settled();
            let mut changed = ChangedUsers::default();
            let suspicious = {
                let mut guard = devices.guard.lock();
                guard.saw_unregistered(now);
                changed.rows.push(Change::Put(rows::guard(), records::encode(&*guard)));
                guard.suspects_the_service(now)
            };
            if suspicious {
                tracing::error!(device = id.as_str(), "suspiciously many devices are unregistered: quarantined");
                metrics::counter!("tandem_push_devices_quarantined_total").increment(1);
                let quarantined = DeviceState::Quarantined { until: now + QUARANTINE };
                for (retired_at, user, id) in std::mem::take(retired) {
                    devices.mark(&mut changed, user, &id, retired_at, quarantined)?;
                }
                devices.mark(&mut changed, user, &id, asked_at, quarantined)?;
            } else {
                retired.retain(|(at, ..)| now.since(*at) < QUARANTINE);
                if retired.len() < REMEMBERED_RETIREMENTS {
                    retired.push((now, user.clone(), id.clone()));
                }
                metrics::counter!("tandem_push_devices_retired_total").increment(1);
                devices.mark(&mut changed, user, &id, asked_at, DeviceState::Retired { at: now })?;
            }
            Ok(changed)
        })
        .await
    }

    fn mark(
        &self,
        changed: &mut ChangedUsers,
        user: UserId,
        id: &DeviceId,
        asked_at: Timestamp,
        state: DeviceState,
    ) -> Result<(), StoreError> {
        let known = changed.users.iter_mut().find(|(of, _)| *of == user);
        let mut reach = match known {
            Some((_, Some(reach))) => std::mem::take(reach),
            _ => self.load(&user)?,
        };
        let is_meant = |device: &&mut Device| device.id() == *id && device.registered_at <= asked_at;
        if let Some(device) = reach.devices.iter_mut().find(is_meant) {
            device.state = state;
        }
        changed.put(user, reach);
        Ok(())
    }
}
