//! A small shop, kept in memory. Nothing in this file knows that somebody keeps a record of it.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{Method, StatusCode, header},
    middleware::{self, Next},
    response::{AppendHeaders, IntoResponse, Response},
    routing::{get, patch, post, put},
};
use serde_json::{Map, Value, json};

/// Who is logged in.
#[derive(Clone)]
pub(crate) struct User(pub(crate) String);

type Object = Map<String, Value>;
type Answer<T = Json<Object>> = Result<T, Refusal>;

/// What everybody may call.
pub(crate) fn public(shop: &Shop) -> Router {
    Router::new().route("/register", post(register)).with_state(shop.shelf("users"))
}

/// What only those may call who are logged in; expects [`User`] among the extensions.
pub(crate) fn members(shop: &Shop) -> Router {
    let products = crud(shop.shelf("products"), |routes| {
        routes
            .route("/api/products/{id}/restore", post(restore))
            .route("/api/products/{id}/stock", post(change))
            .route("/api/products/{id}/image", post(upload))
    });
    let orders = crud(shop.shelf("orders"), |routes| {
        routes
            .route("/api/orders/{id}/cancel", post(cancel))
            .route("/api/orders/{id}/payments", post(add_payment))
            .route("/api/orders/{id}/promotions", post(add_promotion))
            .route("/api/orders/{id}/items", post(add_item))
            .route("/api/orders/{id}/status", patch(change))
    });
    let users = crud(shop.shelf("users"), |routes| {
        routes
            .route("/api/users/{id}/password", put(change))
            .route("/api/users/{id}/avatar", put(upload))
            .route("/api/users/{id}/role", put(change))
            .route("/api/users/{id}/status", patch(change))
    });
    products
        .layer(middleware::from_fn(only_admin_changes))
        .merge(orders)
        .merge(users)
        .merge(crud(shop.shelf("categories"), |routes| routes))
        .merge(crud(shop.shelf("promotions"), |routes| routes))
        .route("/api/settings/{name}", put(set))
        .route("/api/slow", get(slow))
        .route("/api/panic", get(panics))
}

/// Create, read, update and delete for one collection, and what else it can.
fn crud(shelf: Shelf, more: impl FnOnce(Router<Shelf>) -> Router<Shelf>) -> Router {
    let name = shelf.name;
    let routes = Router::new()
        .route(&format!("/api/{name}"), get(list).post(create))
        .route(&format!("/api/{name}/{{id}}"), get(read).put(change).patch(change).delete(delete));
    more(routes).with_state(shelf)
}

async fn only_admin_changes(
    Extension(User(name)): Extension<User>,
    request: Request,
    next: Next,
) -> Answer<Response> {
    if request.method() == Method::GET || name == "admin" {
        Ok(next.run(request).await)
    } else {
        Err(Refusal(StatusCode::FORBIDDEN, "only the admin changes products"))
    }
}

async fn register(State(users): State<Shelf>, Json(form): Json<Object>) -> Answer<Response> {
    let Some(name) = form.get("user").and_then(Value::as_str).filter(|name| !name.is_empty())
    else {
        return Err(Refusal(StatusCode::UNPROCESSABLE_ENTITY, "a user needs a name"));
    };
    let user = Object::from_iter([("name".to_owned(), json!(name))]);
    Ok(users.with(|users| created(users.add(user))))
}

async fn list(State(shelf): State<Shelf>) -> Json<Value> {
    Json(shelf.with(|shelf| json!(shelf.objects.values().collect::<Vec<_>>())))
}

async fn create(State(shelf): State<Shelf>, Json(form): Json<Object>) -> Response {
    shelf.with(|shelf| created(shelf.add(form)))
}

async fn read(State(shelf): State<Shelf>, Path(id): Path<String>) -> Answer {
    shelf.with(|shelf| shelf.get(&id).map(|object| Json(object.clone())))
}

async fn change(
    State(shelf): State<Shelf>,
    Path(id): Path<String>,
    form: Option<Json<Object>>,
) -> Answer {
    let changes = form.map(|Json(form)| form).unwrap_or_default();
    let kept = changes.into_iter().filter(|(key, _)| key != "id" && key != "password");
    shelf.with(|shelf| {
        let object = shelf.get(&id)?;
        object.extend(kept);
        Ok(Json(object.clone()))
    })
}

async fn delete(State(shelf): State<Shelf>, Path(id): Path<String>) -> Answer<StatusCode> {
    shelf.with(|shelf| {
        let (id, object) = take(&mut shelf.objects, &id)?;
        shelf.bin.insert(id, object);
        Ok(StatusCode::NO_CONTENT)
    })
}

async fn restore(State(shelf): State<Shelf>, Path(id): Path<String>) -> Answer {
    shelf.with(|shelf| {
        let (id, object) = take(&mut shelf.bin, &id)?;
        shelf.objects.insert(id, object.clone());
        Ok(Json(object))
    })
}

async fn upload(State(shelf): State<Shelf>, Path(id): Path<String>, picture: Bytes) -> Answer {
    shelf.with(|shelf| {
        let object = shelf.get(&id)?;
        object.insert("picture_bytes".to_owned(), json!(picture.len()));
        Ok(Json(object.clone()))
    })
}

async fn cancel(State(orders): State<Shelf>, Path(id): Path<String>) -> Answer {
    orders.with(|orders| {
        let order = orders.get(&id)?;
        order.insert("status".to_owned(), json!("cancelled"));
        Ok(Json(order.clone()))
    })
}

type Form = Option<Json<Object>>;

async fn add_payment(
    State(orders): State<Shelf>,
    Path(id): Path<String>,
    form: Form,
) -> Answer<Response> {
    orders.with(|orders| orders.add_to(&id, "payments", form))
}

async fn add_promotion(
    State(orders): State<Shelf>,
    Path(id): Path<String>,
    form: Form,
) -> Answer<Response> {
    orders.with(|orders| orders.add_to(&id, "promotions", form))
}

async fn add_item(
    State(orders): State<Shelf>,
    Path(id): Path<String>,
    form: Form,
) -> Answer<Response> {
    orders.with(|orders| orders.add_to(&id, "items", form))
}

async fn set(Path(name): Path<String>, Json(value): Json<Value>) -> Json<Value> {
    Json(json!({ "name": name, "value": value }))
}

/// Streams a report for two seconds.
async fn slow() -> impl IntoResponse {
    let lines = futures_util::stream::unfold(1, |line| async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let text = Bytes::from(format!("{line},sold,{}\n", line * 7));
        (line <= 20).then_some((Ok::<_, Infallible>(text), line + 1))
    });
    let headers = AppendHeaders([
        (header::CONTENT_TYPE, "text/csv"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"report.csv\""),
    ]);
    (headers, Body::from_stream(lines))
}

async fn panics() -> StatusCode {
    panic!("somebody asked for /api/panic")
}

/// Why the shop says no.
struct Refusal(StatusCode, &'static str);

const UNKNOWN: Refusal = Refusal(StatusCode::NOT_FOUND, "no such thing");

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

fn created(object: Object) -> Response {
    (StatusCode::CREATED, Json(object)).into_response()
}

/// Everything the shop has: collections by name.
#[derive(Clone)]
pub(crate) struct Shop(Arc<Mutex<BTreeMap<&'static str, Collection>>>);

/// One of its collections.
#[derive(Clone)]
struct Shelf {
    shop: Shop,
    name: &'static str,
}

#[derive(Default)]
struct Collection {
    objects: BTreeMap<u64, Object>,
    bin: BTreeMap<u64, Object>,
    last_id: u64,
}

impl Shop {
    /// Opens the shop with a few things on its shelves.
    pub(crate) fn open() -> Self {
        let shop = Self(Arc::default());
        let stock = |name, last_id, things: &[&str]| {
            shop.shelf(name).with(|shelf| {
                shelf.last_id = last_id;
                for thing in things {
                    shelf.add(Object::from_iter([("name".to_owned(), json!(thing))]));
                }
            });
        };
        stock("users", 0, &["ana", "bob", "admin"]);
        stock("categories", 0, &["Lamps", "Chairs"]);
        stock("promotions", 0, &["Spring"]);
        stock("products", 0, &["Blue lamp", "Oak chair", "Reading lamp"]);
        stock("orders", 52, &["Two chairs for Bob", "One lamp for Bob", "Three lamps for Ana"]);
        shop
    }

    fn shelf(&self, name: &'static str) -> Shelf {
        Shelf { shop: self.clone(), name }
    }
}

impl Shelf {
    fn with<T>(&self, work: impl FnOnce(&mut Collection) -> T) -> T {
        // No handler leaves a collection half changed, not even one that panics.
        let mut shop = self.shop.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(shop.entry(self.name).or_default())
    }
}

impl Collection {
    fn add(&mut self, mut object: Object) -> Object {
        self.last_id += 1;
        object.insert("id".to_owned(), json!(self.last_id));
        self.objects.insert(self.last_id, object.clone());
        object
    }

    fn get(&mut self, id: &str) -> Answer<&mut Object> {
        let id = id.parse::<u64>().map_err(|_| UNKNOWN)?;
        self.objects.get_mut(&id).ok_or(UNKNOWN)
    }

    /// Adds what the form says to a list of the object.
    fn add_to(&mut self, id: &str, list: &str, form: Form) -> Answer<Response> {
        let mut entry = form.map(|Json(form)| form).unwrap_or_default();
        let entries = self.get(id)?.entry(list).or_insert_with(|| json!([]));
        let Some(entries) = entries.as_array_mut() else {
            return Err(Refusal(StatusCode::CONFLICT, "the order holds something else there"));
        };
        entry.insert("id".to_owned(), json!(entries.len() + 1));
        entries.push(Value::Object(entry.clone()));
        Ok(created(entry))
    }
}

fn take(objects: &mut BTreeMap<u64, Object>, id: &str) -> Answer<(u64, Object)> {
    let id = id.parse().map_err(|_| UNKNOWN)?;
    objects.remove_entry(&id).ok_or(UNKNOWN)
}
