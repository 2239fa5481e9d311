//! Lets the ACME library use the HTTP client of all other services.

use std::{future::Future, pin::Pin, time::Duration};

use bytes::Bytes;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use super::AcmeError;
use crate::tls;

/// How long the authority may take to answer one request.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(super) struct AcmeClient(reqwest::Client);

impl AcmeClient {
    pub fn new() -> Result<Self, AcmeError> {
        let client = tls::http_client().timeout(PATIENCE).build();
        Ok(Self(client.map_err(|error| Error::Other(Box::new(error)))?))
    }
}

impl HttpClient for AcmeClient {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let failed = |error: reqwest::Error| Error::Other(Box::new(error));
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap)).map_err(failed)?;
            let response = client.execute(request).await.map_err(failed)?;
            Ok(BytesResponse::from(http::Response::from(response)))
        })
    }
}
