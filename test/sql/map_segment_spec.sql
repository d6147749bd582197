\set ECHO none
\i test/map.psql
\set ECHO all

--
-- Calls of the shape that Segment's spec shows for each type, in full: with
-- the context, ids and times that its libraries add
--

-- Spec: Identify
SELECT map('{
  "anonymousId": "visitor-0001",
  "channel": "browser",
  "context": {"ip": "192.0.2.6", "userAgent": "Mozilla/5.0", "library": {"name": "analytics.js", "version": "2.11.1"}},
  "integrations": {"All": false, "Mixpanel": true, "Salesforce": true, "Braze": true},
  "messageId": "3b1f4c7e-4d2a-4a5e-9c56-0d9f5e1a7b20",
  "receivedAt": "2024-05-06T07:08:09.387Z",
  "sentAt": "2024-05-06T07:08:09.111Z",
  "timestamp": "2024-05-06T07:08:09.111Z",
  "traits": {"name": "Grace Hopper", "email": "grace@example.com", "plan": "enterprise", "logins": 5,
    "address": {"street": "1 Market Street", "city": "San Francisco", "state": "CA", "postalCode": "94105", "country": "USA"}},
  "type": "identify",
  "userId": "user-0001",
  "version": "1.1"
}');

-- Spec: Track
SELECT map('{
  "anonymousId": "visitor-0002",
  "context": {"library": {"name": "analytics.js", "version": "2.11.1"},
    "page": {"path": "/academy/", "referrer": "", "search": "", "title": "Academy", "url": "https://example.com/academy/"},
    "userAgent": "Mozilla/5.0", "ip": "192.0.2.7", "locale": "en-US", "timezone": "America/New_York"},
  "event": "Lesson Opened",
  "integrations": {},
  "messageId": "web-0002",
  "properties": {"title": "First Steps"},
  "receivedAt": "2024-05-06T07:08:10.266Z",
  "sentAt": "2024-05-06T07:08:10.169Z",
  "timestamp": "2024-05-06T07:08:10.249Z",
  "type": "track",
  "userId": "user-0002",
  "originalTimestamp": "2024-05-06T07:08:10.152Z"
}', 'app_identifier', 'app');

-- Spec: Page
SELECT map('{
  "anonymousId": "visitor-0001",
  "channel": "browser",
  "context": {"ip": "192.0.2.6", "userAgent": "Mozilla/5.0"},
  "integrations": {"All": true, "Mixpanel": false, "Salesforce": false},
  "messageId": "3b1f4c7e-4d2a-4a5e-9c56-0d9f5e1a7b20",
  "name": "Home",
  "properties": {"title": "Welcome", "url": "https://example.com", "path": "/", "search": "", "referrer": "https://example.org"},
  "receivedAt": "2024-05-06T07:08:09.387Z",
  "sentAt": "2024-05-06T07:08:09.111Z",
  "timestamp": "2024-05-06T07:08:09.111Z",
  "type": "page",
  "userId": "user-0001",
  "version": "1.1"
}', 'track_named_pages', 'true');

-- Spec: Screen
SELECT map('{
  "anonymousId": "visitor-0001",
  "channel": "mobile",
  "context": {"app": {"name": "Example App", "version": "1.1.1"}, "device": {"id": "device-0001", "type": "ios"}},
  "messageId": "3b1f4c7e-4d2a-4a5e-9c56-0d9f5e1a7b20",
  "name": "Home",
  "properties": {"Tab": "friends"},
  "timestamp": "2024-05-06T07:08:09.111Z",
  "type": "screen",
  "userId": "user-0001"
}', 'track_all_pages', 'true');

-- Spec: Group
SELECT map('{
  "anonymousId": "visitor-0001",
  "channel": "browser",
  "context": {"ip": "192.0.2.6"},
  "messageId": "3b1f4c7e-4d2a-4a5e-9c56-0d9f5e1a7b20",
  "timestamp": "2024-05-06T07:08:09.111Z",
  "traits": {"name": "Example Ltd", "industry": "Technology", "employees": 120, "plan": "enterprise", "total billed": 990},
  "type": "group",
  "userId": "user-0001",
  "groupId": "company-0001"
}');

-- Spec: Alias
SELECT map('{
  "anonymousId": "visitor-0001",
  "channel": "browser",
  "messageId": "3b1f4c7e-4d2a-4a5e-9c56-0d9f5e1a7b20",
  "previousId": "visitor-0003",
  "timestamp": "2024-05-06T07:08:09.111Z",
  "type": "alias",
  "userId": "user-0003"
}', 'alias_calls', 'merge');

-- Spec: V2 eCommerce Events, Order Completed
SELECT map('{
  "type": "track", "userId": "user-0004", "event": "Order Completed", "timestamp": "2024-05-06T07:08:09.123Z",
  "properties": {
    "checkout_id": "checkout-0001", "order_id": "order-0001", "affiliation": "Online Store",
    "total": 26.40, "subtotal": 21.00, "revenue": 24.90, "shipping": 3, "tax": 2, "discount": 2.5, "coupon": "spring", "currency": "USD",
    "products": [
      {"product_id": "product-0001", "sku": "BG-12", "name": "Backgammon, travel size", "price": 19, "quantity": 1, "category": "Games",
       "url": "https://www.example.com/product/path", "image_url": "https://www.example.com/product/path.jpg"},
      {"product_id": "product-0002", "sku": "DC-7", "name": "Deck of Cards", "price": 3, "quantity": 2, "category": "Games"}
    ]
  }
}');
SELECT map('{
  "type": "track", "userId": "user-0004", "event": "Order Completed", "timestamp": "2024-05-06T07:08:09.123Z",
  "properties": {
    "checkout_id": "checkout-0001", "order_id": "order-0001", "affiliation": "Online Store",
    "total": 26.40, "subtotal": 21.00, "revenue": 24.90, "shipping": 3, "tax": 2, "discount": 2.5, "coupon": "spring", "currency": "USD",
    "products": [
      {"product_id": "product-0001", "sku": "BG-12", "name": "Backgammon, travel size", "price": 19, "quantity": 1, "category": "Games",
       "url": "https://www.example.com/product/path", "image_url": "https://www.example.com/product/path.jpg"},
      {"product_id": "product-0002", "sku": "DC-7", "name": "Deck of Cards", "price": 3, "quantity": 2, "category": "Games"}
    ]
  }
}', 'orders_as', 'ecommerce');
-- Product Added
SELECT map('{
  "type": "track", "userId": "user-0004", "event": "Product Added", "timestamp": "2024-05-06T07:08:09.123Z",
  "properties": {"cart_id": "cart-0001", "product_id": "product-0001", "sku": "BG-12", "category": "Games",
    "name": "Backgammon, travel size", "brand": "Tabletop", "variant": "travel size", "price": 17.45, "quantity": 1, "coupon": "MAY10", "position": 3,
    "url": "https://www.example.com/product/path", "image_url": "https://www.example.com/product/path.jpg"}
}', 'orders_as', 'ecommerce');
-- Order Refunded
SELECT map('{
  "type": "track", "userId": "user-0004", "event": "Order Refunded", "timestamp": "2024-05-06T07:08:09.123Z",
  "properties": {"order_id": "order-0001", "total": 30, "currency": "USD",
    "products": [{"product_id": "product-0001", "sku": "BG-12", "name": "Backgammon, travel size", "price": 19, "quantity": 1, "category": "Games"}]}
}', 'orders_as', 'ecommerce');

ROLLBACK;
