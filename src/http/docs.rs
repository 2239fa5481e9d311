//! The page under `/docs`: Swagger UI, with a page, a style and a script of our own around it. Its files are in the
//! binary; all clients share one copy of each, which is compressed once.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{self, HeaderValue},
    web::{self, ServiceConfig},
};
use bytes::Bytes;
use parking_lot::RwLock;
use utoipa_swagger_ui::Config;

use super::{error::ApiError, front::Pieces, observe};

/// The page asks only this node, and runs only the scripts that this node serves.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Name, media type and content of each file that is not Swagger UI's.
const OWN: [(&str, &str, &str); 3] = [
    ("", "text/html; charset=utf-8", include_str!("docs/index.html")),
    ("docs.css", "text/css; charset=utf-8", include_str!("docs/docs.css")),
    ("docs.js", "text/javascript; charset=utf-8", include_str!("docs/docs.js")),
];

struct File {
    content_type: String,
    plain: Bytes,
    gzip: Bytes,
}

/// The files that were requested so far.
static FILES: LazyLock<RwLock<HashMap<String, Arc<File>>>> = LazyLock::new(RwLock::default);

pub(super) fn mount(app: &mut ServiceConfig) {
    app.service(web::resource("/docs/{file:.*}").route(web::get().to(serve)).route(web::head().to(serve)));
}

async fn serve(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let file = file(request.match_info().query("file")).ok_or_else(ApiError::no_such_route)?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, file.content_type.as_str()))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")))
        .insert_header((header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .insert_header((header::VARY, HeaderValue::from_static("accept-encoding")));
    if !observe::accepts_gzip(request.headers()) {
        return Ok(response.body(Pieces::of(file.plain.clone())));
    }
    response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
    Ok(response.body(Pieces::of(file.gzip.clone())))
}

fn file(name: &str) -> Option<Arc<File>> {
    let known = FILES.read().get(name).cloned();
    known.or_else(|| {
        let file = Arc::new(read(name)?);
        // Only existing files are stored: about a dozen.
        FILES.write().insert(name.to_owned(), file.clone());
        Some(file)
    })
}

fn read(name: &str) -> Option<File> {
    let own = OWN.iter().find(|(own, ..)| *own == name);
    let (content_type, plain) = match own {
        Some((_, kind, content)) => ((*kind).to_owned(), Bytes::from_static(content.as_bytes())),
        None => {
            // Its own page would ask under another policy.
            let file = utoipa_swagger_ui::serve(name, Arc::new(Config::default())).ok()??;
            (file.content_type, Bytes::from(file.bytes.into_owned()))
        }
    };
    Some(File { content_type, gzip: observe::gzip(&plain), plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_compressed_once() {
        let (first, second) = (file("swagger-ui-bundle.js").unwrap(), file("swagger-ui-bundle.js").unwrap());
        assert!(Arc::ptr_eq(&first, &second) && first.gzip.len() * 2 < first.plain.len());
        assert!(first.content_type.contains("javascript"), "{}", first.content_type);
        assert!(file("").unwrap().content_type.contains("html"));
        assert!(file("no-such-file").is_none() && !FILES.read().contains_key("no-such-file"));
    }
}
