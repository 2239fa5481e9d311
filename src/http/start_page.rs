//! The page at `/`: which server this is, and where to read on. It holds no secret.

use actix_web::{HttpResponse, http::header::ContentType};

pub struct StartPage<'a> {
    /// `embedded` or `ably`.
    pub provider: &'a str,
    /// How a user of this node gets a token. Plain text.
    pub token_hint: &'a str,
}

pub fn start_page(page: &StartPage<'_>) -> HttpResponse {
    let html = format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tandem</title>
<style>
body {{ font: 1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1.5rem; color: #222; background: #fdfcfa }}
code, pre {{ font-family: ui-monospace, monospace; background: #f1eee8; border-radius: 4px }}
code {{ padding: .1em .3em }}
pre {{ padding: 1rem; overflow-x: auto }}
dt {{ font-weight: 600 }}
dd {{ margin: 0 0 .8rem }}
@media (prefers-color-scheme: dark) {{ body {{ color: #eee; background: #1c1b19 }} code, pre {{ background: #2b2926 }} a {{ color: #9cc4ff }} }}
</style>
</head>
<body>
<h1>Tandem</h1>
<p>Coordinates sessions of two partners. Version {version}, realtime provider <code>{provider}</code>.</p>
<dl>
<dt><a href="/docs/">/docs</a></dt><dd>All routes, to read and to try</dd>
<dt><a href="/api/v1/openapi.json">/api/v1/openapi.json</a></dt><dd>The same for programs (OpenAPI 3.1)</dd>
<dt><a href="/health">/health</a>, <a href="/ready">/ready</a>, <a href="/metrics">/metrics</a></dt><dd>The node's condition</dd>
</dl>
<h2>A token</h2>
<p>{token_hint}</p>
<pre>TOKEN=$(tandem token --user anna --name Anna)
curl -H "Authorization: Bearer $TOKEN" http://{example}/api/v1/auth/me</pre>
</body>
</html>
"#,
        version = env!("CARGO_PKG_VERSION"),
        provider = escaped(page.provider),
        token_hint = escaped(page.token_hint),
        example = "HOST:PORT",
    );
    HttpResponse::Ok().content_type(ContentType::html()).body(html)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
