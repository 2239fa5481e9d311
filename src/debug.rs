//! Failpoints over HTTP for tests. Only debug builds have these routes.

#[cfg(not(debug_assertions))]
pub fn configure(_: &mut actix_web::web::ServiceConfig) {}

#[cfg(debug_assertions)]
pub use self::routes::configure;

#[cfg(debug_assertions)]
mod routes {
    use std::time::Duration;

    use actix_web::{HttpResponse, web};
    use serde::Deserialize;
    use tandem_actors::{domain::ids::SessionId, failpoint};

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Arm {
        session_id: SessionId,
        point: String,
        harm: Harm,
        #[serde(default = "once")]
        times: u32,
    }

    fn once() -> u32 {
        1
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Harm {
        Panic,
        Freeze(#[serde(with = "humantime_serde")] Duration),
    }

    pub fn configure(app: &mut web::ServiceConfig) {
        app.route("/debug/failpoints", web::post().to(arm));
        app.route("/debug/disk", web::post().to(harm_disk));
    }

    #[derive(Deserialize)]
    struct Disk {
        #[serde(default, with = "humantime_serde")]
        hang: Duration,
        free: Option<u64>,
    }

    async fn harm_disk(disk: web::Json<Disk>) -> HttpResponse {
        crate::store::debug::hang(disk.hang);
        crate::store::debug::pretend_free(disk.free);
        HttpResponse::NoContent().finish()
    }

    async fn arm(arm: web::Json<Arm>) -> HttpResponse {
        let Arm { session_id, point, harm, times } = arm.into_inner();
        if !failpoint::POINTS.contains(&point.as_str()) || times == 0 {
            return HttpResponse::BadRequest()
                .body(format!("point must be one of {:?}, times at least 1", failpoint::POINTS));
        }
        let harm = match harm {
            Harm::Panic => failpoint::Effect::Panic,
            Harm::Freeze(duration) => failpoint::Effect::Freeze(duration),
        };
        failpoint::arm(session_id, &point, harm, times);
        HttpResponse::NoContent().finish()
    }
}
