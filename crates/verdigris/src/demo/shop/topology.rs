//! The shop's services, what each can do, and who calls whom.

/// A service of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Service {
    Frontend,
    Checkout,
    Cart,
    Catalogue,
    Currency,
    Payment,
    Shipping,
    Email,
    Recommendation,
    Ad,
    Review,
}

impl Service {
    /// All of them, in the order of [`Service::index`].
    pub const ALL: [Service; 11] = [
        Service::Frontend,
        Service::Checkout,
        Service::Cart,
        Service::Catalogue,
        Service::Currency,
        Service::Payment,
        Service::Shipping,
        Service::Email,
        Service::Recommendation,
        Service::Ad,
        Service::Review,
    ];

    /// Its place in [`Service::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// `service.name`.
    pub fn name(self) -> &'static str {
        match self {
            Service::Frontend => "frontend",
            Service::Checkout => "checkout",
            Service::Cart => "cart",
            Service::Catalogue => "catalogue",
            Service::Currency => "currency",
            Service::Payment => "payment",
            Service::Shipping => "shipping",
            Service::Email => "email",
            Service::Recommendation => "recommendation",
            Service::Ad => "ad",
            Service::Review => "review",
        }
    }

    /// `telemetry.sdk.language`.
    pub(super) fn language(self) -> &'static str {
        match self {
            Service::Frontend | Service::Payment => "nodejs",
            Service::Checkout | Service::Catalogue => "go",
            Service::Cart => "dotnet",
            Service::Currency => "cpp",
            Service::Shipping => "rust",
            Service::Email => "ruby",
            Service::Recommendation | Service::Review => "python",
            Service::Ad => "java",
        }
    }
}

/// One thing that a service does. What it makes of a trace is said at [`Role`].
pub(super) struct Operation {
    pub(super) service: Service,
    pub(super) role: Role,
    /// Its own work in microseconds, without the calls: usually half to one and a half times this, seldom much more.
    pub(super) work_us: u64,
    pub(super) calls: &'static [Call],
}

/// How an operation shows in a trace.
pub(super) enum Role {
    /// A SERVER span: a browser asks.
    Page { method: &'static str, route: &'static str },
    /// A CLIENT span of the caller and a SERVER span: gRPC.
    Rpc { service: &'static str, method: &'static str },
    /// An INTERNAL span.
    Function { name: &'static str, file: &'static str, line: i64 },
    /// A CLIENT span: a query.
    Query { system: Database, collection: &'static str, operation: &'static str, text: &'static str },
}

#[derive(Clone, Copy)]
pub(super) enum Database {
    Postgresql,
    Redis,
}

/// One operation calls another.
pub(super) struct Call {
    pub(super) operation: &'static Operation,
    /// How often it does, in percent.
    pub(super) percent: u64,
    /// Whether the caller can do without: then an error goes no further up.
    pub(super) optional: bool,
}

const fn always(operation: &'static Operation) -> Call {
    Call { operation, percent: 100, optional: false }
}

const fn sometimes(percent: u64, operation: &'static Operation) -> Call {
    Call { operation, percent, optional: false }
}

const fn extra(percent: u64, operation: &'static Operation) -> Call {
    Call { operation, percent, optional: true }
}

const fn page(method: &'static str, route: &'static str, work_us: u64, calls: &'static [Call]) -> Operation {
    Operation { service: Service::Frontend, role: Role::Page { method, route }, work_us, calls }
}

const fn rpc(
    owner: Service,
    service: &'static str,
    method: &'static str,
    work_us: u64,
    calls: &'static [Call],
) -> Operation {
    Operation { service: owner, role: Role::Rpc { service, method }, work_us, calls }
}

const fn function(
    service: Service,
    (name, file, line): (&'static str, &'static str, i64),
    work_us: u64,
    calls: &'static [Call],
) -> Operation {
    Operation { service, role: Role::Function { name, file, line }, work_us, calls }
}

const fn query(
    service: Service,
    system: Database,
    (operation, collection): (&'static str, &'static str),
    text: &'static str,
    work_us: u64,
) -> Operation {
    Operation { service, role: Role::Query { system, collection, operation, text }, work_us, calls: &[] }
}

/// What visitors do, and how often in a hundred visits. The smallest visit has 5 spans, the largest 25.
pub(super) static VISITS: [(u64, &Operation); 6] =
    [(25, &HOME), (30, &PRODUCT), (10, &SEARCH), (10, &ADD_TO_CART), (10, &SHOW_CART), (15, &CHECK_OUT)];

static HOME: Operation = page(
    "GET",
    "/",
    4_000,
    &[
        always(&LIST_PRODUCTS),
        sometimes(60, &LIST_CURRENCIES),
        always(&GET_CART),
        extra(80, &GET_ADS),
        extra(50, &RECOMMEND),
        always(&RENDER),
    ],
);
static PRODUCT: Operation = page(
    "GET",
    "/product/{product_id}",
    3_000,
    &[
        always(&GET_PRODUCT),
        always(&CONVERT),
        extra(60, &GET_REVIEWS),
        extra(70, &RECOMMEND),
        extra(80, &GET_ADS),
        always(&RENDER),
    ],
);
static SEARCH: Operation =
    page("GET", "/search", 2_500, &[always(&SEARCH_PRODUCTS), sometimes(50, &CONVERT), always(&RENDER)]);
static ADD_TO_CART: Operation = page("POST", "/cart", 1_500, &[always(&GET_PRODUCT), always(&ADD_ITEM)]);
static SHOW_CART: Operation = page(
    "GET",
    "/cart",
    3_000,
    &[always(&GET_CART), always(&GET_QUOTE), always(&CONVERT), extra(30, &RECOMMEND), always(&RENDER)],
);
static CHECK_OUT: Operation = page("POST", "/cart/checkout", 2_000, &[always(&PLACE_ORDER)]);
static RENDER: Operation =
    function(Service::Frontend, ("renderPage", "/app/.next/server/pages/_document.js", 118), 6_000, &[]);

static PLACE_ORDER: Operation = rpc(
    Service::Checkout,
    "shop.CheckoutService",
    "PlaceOrder",
    2_500,
    &[
        always(&PREPARE_ORDER),
        always(&CHARGE),
        always(&SHIP_ORDER),
        sometimes(70, &EMPTY_CART),
        extra(100, &SEND_CONFIRMATION),
    ],
);
static PREPARE_ORDER: Operation = function(
    Service::Checkout,
    ("main.(*checkout).prepareOrderItemsAndShippingQuoteFromCart", "/usr/src/app/main.go", 371),
    1_200,
    &[always(&GET_CART), always(&GET_PRODUCT), always(&GET_QUOTE), always(&CONVERT)],
);

static GET_CART: Operation = rpc(Service::Cart, "shop.CartService", "GetCart", 700, &[always(&CART_READ)]);
static ADD_ITEM: Operation =
    rpc(Service::Cart, "shop.CartService", "AddItem", 900, &[always(&CART_READ), always(&CART_WRITE)]);
static EMPTY_CART: Operation = rpc(Service::Cart, "shop.CartService", "EmptyCart", 600, &[always(&CART_WRITE)]);
static CART_READ: Operation = query(Service::Cart, Database::Redis, ("HGET", "carts"), "HGET cart ?", 350);
static CART_WRITE: Operation = query(Service::Cart, Database::Redis, ("HMSET", "carts"), "HMSET cart ? ?", 450);

static LIST_PRODUCTS: Operation =
    rpc(Service::Catalogue, "shop.ProductCatalogService", "ListProducts", 1_500, &[always(&PRODUCTS_QUERY)]);
static GET_PRODUCT: Operation =
    rpc(Service::Catalogue, "shop.ProductCatalogService", "GetProduct", 900, &[always(&PRODUCT_QUERY)]);
static SEARCH_PRODUCTS: Operation =
    rpc(Service::Catalogue, "shop.ProductCatalogService", "SearchProducts", 2_000, &[always(&SEARCH_QUERY)]);
static PRODUCTS_QUERY: Operation = query(
    Service::Catalogue,
    Database::Postgresql,
    ("SELECT", "products"),
    "SELECT id, name, price FROM products ORDER BY rank LIMIT ?",
    3_500,
);
static PRODUCT_QUERY: Operation = query(
    Service::Catalogue,
    Database::Postgresql,
    ("SELECT", "products"),
    "SELECT id, name, price FROM products WHERE id = ?",
    1_200,
);
static SEARCH_QUERY: Operation = query(
    Service::Catalogue,
    Database::Postgresql,
    ("SELECT", "products"),
    "SELECT id, name, price FROM products WHERE name ILIKE ? LIMIT ?",
    9_000,
);

static LIST_CURRENCIES: Operation = rpc(Service::Currency, "shop.CurrencyService", "GetSupportedCurrencies", 400, &[]);
static CONVERT: Operation = rpc(Service::Currency, "shop.CurrencyService", "Convert", 300, &[]);
static CHARGE: Operation = rpc(Service::Payment, "shop.PaymentService", "Charge", 25_000, &[always(&VALIDATE_CARD)]);
static VALIDATE_CARD: Operation = function(Service::Payment, ("validateCard", "/usr/src/app/charge.js", 42), 800, &[]);
static GET_QUOTE: Operation = rpc(Service::Shipping, "shop.ShippingService", "GetQuote", 1_100, &[]);
static SHIP_ORDER: Operation = rpc(Service::Shipping, "shop.ShippingService", "ShipOrder", 4_000, &[]);
static SEND_CONFIRMATION: Operation =
    rpc(Service::Email, "shop.EmailService", "SendOrderConfirmation", 18_000, &[always(&WRITE_MAIL)]);
static WRITE_MAIL: Operation =
    function(Service::Email, ("render_confirmation", "/email_server/email_server.rb", 67), 2_200, &[]);
static RECOMMEND: Operation =
    rpc(Service::Recommendation, "shop.RecommendationService", "ListRecommendations", 2_500, &[always(&LIST_PRODUCTS)]);
static GET_ADS: Operation = rpc(Service::Ad, "shop.AdService", "GetAds", 900, &[always(&SELECT_ADS)]);
static SELECT_ADS: Operation =
    function(Service::Ad, ("shop.AdService.getAdsByCategory", "AdService.java", 210), 1_100, &[]);
static GET_REVIEWS: Operation =
    rpc(Service::Review, "shop.ProductReviewService", "GetProductReviews", 1_400, &[always(&REVIEWS_QUERY)]);
static REVIEWS_QUERY: Operation = query(
    Service::Review,
    Database::Postgresql,
    ("SELECT", "product_reviews"),
    "SELECT author, stars, text FROM product_reviews WHERE product_id = ? LIMIT ?",
    2_800,
);
