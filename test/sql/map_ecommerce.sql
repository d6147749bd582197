\set ECHO none
\i test/map.psql
\set ECHO all

--
-- Braze's recommended eCommerce events
--
-- Their schema is strict: what has no field of its own goes into metadata.
--

-- the whole object
SELECT map('{"type": "track", "userId": "u1", "event": "Product Viewed", "timestamp": "2024-05-06T07:08:09Z", "properties": {"product_id": "p1", "sku": "s1", "name": "Backgammon", "price": 17.45, "currency": "usd", "image_url": "https://example.com/p1.png", "url": "https://example.com/p1", "brand": "Tabletop", "quantity": 1}}', 'orders_as', 'ecommerce', 'app_identifier', 'app');

-- by default these calls are custom events, and orders are purchases
SELECT track('Product Viewed', '{"product_id": "p1", "price": 17.45}');
SELECT track('Order Completed', '{"order_id": "o1", "products": [{"product_id": "p1", "price": 17.45}]}');
-- both: an order is both, the other calls are recommended events
SELECT track('Order Completed', '{"order_id": "o1", "products": [{"product_id": "p1", "price": 17.45}]}', 'orders_as', 'both');
SELECT track('Product Viewed', '{"product_id": "p1", "price": 17.45}', 'orders_as', 'both');

-- the names, in both versions of Segment's spec
SELECT name, payload->>'name'
FROM unnest('{Product Viewed,Viewed Product,viewed_product,Product Added,Added Product,Product Removed,removedproduct,Cart Updated,Checkout Started,Order Completed,Completed Order,Order Refunded,ORDER_CANCELLED,Products Viewed,Product List Viewed,Cart Viewed,Order Updated,Product Clicked}'::text[]) name,
	 braze_map(jsonb_build_object('type', 'track', 'userId', 'u1', 'event', name, 'properties',
		'{"product_id": "p1", "price": 1, "cart_id": "c", "order_id": "o", "products": [{"sku": "s", "price": 1}]}'::jsonb), 'map_case');

-- product: ids as strings, a name and a variant in any case
SELECT track('Product Viewed', '{"product_id": 1, "variant": 2, "price": "3.50"}', 'orders_as', 'ecommerce');
SELECT track('Product Viewed', '{"id": "p", "variant_id": "v", "variant": "w", "name": "", "price": 1}', 'orders_as', 'ecommerce');
SELECT track('Product Viewed', '{"name": "Backgammon", "price": "free"}', 'orders_as', 'ecommerce');

-- cart: Product Added and Product Removed are the product that they name
SELECT track('Product Added', '{"cart_id": "c1", "product_id": "p1", "sku": "s1", "name": "Cards", "price": 3, "quantity": 2, "coupon": "X", "position": 3, "action": "x"}', 'orders_as', 'ecommerce');
SELECT track('Product Removed', '{"cart_id": 5, "product_id": "p1", "price": 3, "total": 20, "currency": "EUR", "source": "web"}', 'orders_as', 'ecommerce');
SELECT track('Cart Updated', '{"cart_id": "c1", "products": [{"product_id": "p1", "price": 3, "quantity": 2, "brand": "B"}, {"product_id": "p2", "price": 0.50}], "tax": "1.20", "shipping": 4, "subtotal": 6.5, "coupon": "X"}', 'orders_as', 'ecommerce');
SELECT track('Cart Updated', '{"cart_id": "c1", "action": "add", "products": [{"product_id": "p1", "price": 3}]}', 'orders_as', 'ecommerce');
SELECT track('Cart Updated', '{"cart_id": "c1", "action": "emptied", "products": [{"product_id": "p1", "price": 3}]}', 'orders_as', 'ecommerce');

-- checkout
SELECT track('Checkout Started', '{"checkout_id": "k1", "order_id": "o1", "cart_id": "c1", "value": 20, "revenue": 25, "products": [{"product_id": "p1", "price": 3}]}', 'orders_as', 'ecommerce', 'ecommerce_source', 'shop');
SELECT track('Checkout Started', '{"order_id": "o1", "products": [{"product_id": "p1", "price": 3}]}', 'orders_as', 'ecommerce');

-- order
SELECT track('Order Completed', '{"order_id": "o1", "cart_id": "c1", "total": 27.50, "revenue": 25, "subtotal": 22.50, "tax": 2, "shipping": 3, "discount": 2.5, "discounts": [{"code": "X", "amount": 2.5}], "coupon": "X", "currency": "eur", "products": [{"product_id": "p1", "sku": "s1", "name": "Cards", "price": 19, "quantity": 1, "category": "Games"}]}', 'orders_as', 'ecommerce');
SELECT track('Order Completed', '{"order_id": "o1", "tax": "n/a", "discount_items": ["X"], "discounts": [{"code": "Y", "note": null}, null], "products": [{"product_id": "p1", "price": 1}]}', 'orders_as', 'ecommerce');
SELECT track('Order Completed', '{"order_id": "o1", "product_id": "p1", "price": 5, "quantity": 2}', 'orders_as', 'ecommerce');

-- refunds and cancellations: the total is positive
SELECT track('Order Refunded', '{"order_id": "o1", "total": -30, "tax": 1, "products": [{"product_id": "p1", "price": 15, "quantity": 2}]}', 'orders_as', 'ecommerce');
SELECT track('Order Refunded', '{"order_id": "o1", "products": [{"product_id": "p1", "price": 15, "quantity": -2}]}', 'orders_as', 'ecommerce');
SELECT track('Order Cancelled', '{"order_id": "o1", "reason": "late", "subtotal": 10, "products": [{"product_id": "p1", "price": 15}]}', 'orders_as', 'ecommerce');
SELECT track('Order Cancelled', '{"order_id": "o1", "products": [{"product_id": "p1", "price": 15}]}', 'orders_as', 'ecommerce');

-- quantity: an integer, never split
SELECT track('Cart Updated', '{"cart_id": "c1", "products": [{"product_id": "p1", "price": 3, "quantity": 250}, {"product_id": "p2", "price": 3, "quantity": 2.50}, {"product_id": "p3", "price": 3, "quantity": "2.0"}, {"product_id": "p4", "price": 3, "quantity": 0}]}', 'orders_as', 'ecommerce');

-- currency: the call's, else the first product's, else the default
SELECT track('Cart Updated', '{"cart_id": "c1", "products": [{"product_id": "p1", "price": 3, "currency": "gbp"}]}', 'orders_as', 'ecommerce');
SELECT track('Cart Updated', '{"cart_id": "c1", "products": [{"product_id": "p1", "price": 3}]}', 'orders_as', 'ecommerce', 'default_currency', 'CHF');
SELECT track('Cart Updated', '{"cart_id": "c1", "currency": "money", "products": [{"product_id": "p1", "price": 3}]}', 'orders_as', 'ecommerce');

-- a broken product is left out
SELECT track('Cart Updated', '{"cart_id": "c1", "products": [{"product_id": "p1"}, {"price": 5}, 7, {"product_id": "p2", "price": 3}]}', 'orders_as', 'ecommerce');
-- a call that cannot satisfy the schema is a custom event; a note names what is
-- missing
SELECT track('Cart Updated', '{"products": [{"product_id": "p1"}]}', 'orders_as', 'ecommerce');
SELECT track('Product Added', '{"name": "Cards"}', 'orders_as', 'ecommerce');
SELECT track('Order Completed', '{"revenue": 5}', 'orders_as', 'ecommerce');
SELECT track('Order Completed', '{"revenue": 5}', 'orders_as', 'both');
SELECT track('Order Refunded', '{"order_id": "o1"}', 'orders_as', 'ecommerce');
SELECT map('{"type": "track", "userId": "u1", "event": "Order Completed", "timestamp": "2024-05-06"}', 'orders_as', 'ecommerce');

-- an event of Braze's own name, whatever orders_as says: its fields by Braze's
-- names, the rest into metadata
SELECT track('ecommerce.product_viewed', '{"product_id": "p1", "product_name": "Cards", "variant_id": "v1", "price": 3, "currency": "EUR", "source": "web", "type": ["price_drop"], "metadata": {"color": "red"}}');
SELECT track('ecommerce.product_viewed', '{"product_id": "p1", "price": "3", "product_url": "https://example.com/p1", "url": "https://example.com/q", "type": [1], "brand": "B", "metadata": {"brand": "C", "price": 4}}', 'orders_as', 'ecommerce');
SELECT track('ecommerce.cart_updated', '{"cart_id": "c1", "action": "add", "total_value": 8, "total": 9, "subtotal_value": 7, "subtotal": 6, "products": [{"product_id": "p1", "product_name": "Cards", "variant_id": "v1", "quantity": 2, "price": 4, "metadata": {"color": "red"}}]}');
SELECT track('ecommerce.checkout_started', '{"checkout_id": "k1", "total_value": 8, "products": [{"product_id": "p1", "price": 4}]}');
SELECT track('ecommerce.order_placed', '{"order_id": "o1", "total_value": 8, "total_discounts": 1, "discounts": [{"code": "X"}], "products": [{"product_id": "p1", "price": 4}]}', 'orders_as', 'both');
SELECT track('ecommerce.order_cancelled', '{"order_id": "o1", "total_value": -8, "cancel_reason": "late", "products": [{"product_id": "p1", "price": 4}]}');
SELECT track('ecommerce.order_refunded', '{"order_id": "o1", "total_value": 8, "products": [{"product_id": "p1", "price": 4}]}');
-- Braze would drop what does not fit, and answer with success
SELECT track('ecommerce.order_placed', '{"total_value": 8}');
SELECT map('{"type": "track", "userId": "u1", "event": "ecommerce.order_placed"}');
-- other spellings, and other names, are custom events
SELECT track('Ecommerce.Order_Placed', '{"total_value": 8}');
SELECT track('ecommerce.wishlist_updated', '{"total_value": 8}', 'orders_as', 'ecommerce');

-- money below 0, which Braze drops the event for: discounts without their sign,
-- other optional amounts into metadata
SELECT track('Order Completed', '{"order_id": "o1", "total": 10, "discount": -3, "tax": -1, "shipping": "-2.50", "subtotal": 0, "products": [{"product_id": "p1", "price": 10}]}', 'orders_as', 'ecommerce');
SELECT track('ecommerce.order_placed', '{"order_id": "o1", "total_value": 10, "total_discounts": -3, "subtotal_value": -1, "products": [{"product_id": "p1", "price": 10}]}');
-- of an order a product below 0 is left out, given so or by a negative
-- quantity; twice negative is positive
SELECT track('Order Completed', '{"order_id": "o1", "products": [{"product_id": "p1", "price": 10}, {"product_id": "p2", "price": -4}, {"product_id": "p3", "price": 4, "quantity": -1}, {"product_id": "p4", "price": -4, "quantity": -2}]}', 'orders_as', 'ecommerce');
SELECT track('Order Completed', '{"order_id": "o1", "products": [{"product_id": "p2", "price": -4}]}', 'orders_as', 'ecommerce');
-- a total below 0 makes it a plain event, and rejects one of Braze's own name
SELECT track('Order Completed', '{"order_id": "o1", "total": -10, "products": [{"product_id": "p1", "price": 10}]}', 'orders_as', 'ecommerce');
SELECT track('Checkout Started', '{"checkout_id": "k1", "value": "-0.01", "products": [{"product_id": "p1", "price": 10}]}', 'orders_as', 'ecommerce');
SELECT track('ecommerce.checkout_started', '{"checkout_id": "k1", "total_value": -10, "products": [{"product_id": "p1", "price": 10}]}');
SELECT track('Product Viewed', '{"product_id": "p1", "price": -1}', 'orders_as', 'ecommerce');
SELECT track('Product Added', '{"cart_id": "c1", "product_id": "p1", "price": 5, "quantity": -1}', 'orders_as', 'ecommerce');
-- refunds and cancellations: without the sign throughout
SELECT track('Order Refunded', '{"order_id": "o1", "total": -30, "discount": -2, "products": [{"product_id": "p1", "price": -15}, {"product_id": "p2", "price": 5, "quantity": -3}]}', 'orders_as', 'ecommerce');
SELECT track('Order Cancelled', '{"order_id": "o1", "subtotal": -28, "tax": -1, "shipping": -1, "products": [{"product_id": "p1", "price": -15, "quantity": 2}]}', 'orders_as', 'ecommerce');
SELECT track('ecommerce.order_refunded', '{"order_id": "o1", "total_value": "-8", "products": [{"product_id": "p1", "price": -4, "quantity": -2}]}');

-- currencies: today's ISO 4217, and "" is none
SELECT track('Product Viewed', '{"product_id": "p1", "price": 1, "currency": "byn"}', 'orders_as', 'ecommerce');
SELECT track('Product Viewed', '{"product_id": "p1", "price": 1, "currency": ""}', 'orders_as', 'ecommerce', 'default_currency', 'EUR');
SELECT track('Cart Updated', '{"cart_id": "c1", "currency": " ", "products": [{"product_id": "p1", "price": 3, "currency": "gbp"}]}', 'orders_as', 'ecommerce');

-- what is added or removed does not say what the cart is worth: a total only
-- where there is one
SELECT track('Product Removed', '{"cart_id": "c1", "product_id": "p1", "price": 3, "quantity": 2}', 'orders_as', 'ecommerce');
SELECT track('Cart Updated', '{"cart_id": "c1", "action": "remove", "total": 12, "products": [{"product_id": "p1", "price": 3}]}', 'orders_as', 'ecommerce');
-- a list where no product is at the top
SELECT track('Product Added', '{"cart_id": "c1", "coupon": "X", "products": [{"product_id": "p1", "price": 3, "quantity": 2}, {"product_id": "p2", "price": 1}]}', 'orders_as', 'ecommerce');
SELECT track('Product Removed', '{"cart_id": "c1", "products": {"sku": "s1", "price": 3, "brand": "B"}}', 'orders_as', 'ecommerce');
SELECT track('Product Added', '{"cart_id": "c1", "product_id": "p1", "price": 3, "products": [{"product_id": "p2", "price": 1}]}', 'orders_as', 'ecommerce');
SELECT track('Product Added', '{"cart_id": "c1", "products": []}', 'orders_as', 'ecommerce');
SELECT track('Product Viewed', '{"currency": "EUR", "source": "web", "coupon": "X", "brand": "C", "products": [{"product_id": "p1", "price": 3, "brand": "B"}]}', 'orders_as', 'ecommerce');
SELECT track('Product Viewed', '{"products": {"sku": "s1", "price": 3, "currency": "GBP"}, "currency": "EUR", "type": "price_drop"}', 'orders_as', 'ecommerce');
SELECT track('Product Viewed', '{"products": [{"product_id": "p1", "price": 3}, {"product_id": "p2", "price": 3}]}', 'orders_as', 'ecommerce');
-- where names meet, metadata wins, then the product over what is around it;
-- what a field took of the product hides nothing
SELECT track('Product Viewed', '{"x": 2, " y ": 2, "z": 2, "name": "a list", "price": 5, "source": "web", "metadata": {"x": 3, "w": 3}, "products": [{"product_id": "p1", "name": "n", "price": 1, "z": null, "metadata": {"x": 1, "y": 1}}]}', 'orders_as', 'ecommerce');
SELECT track('Product Viewed', '{"currency": "EUR", "products": [{"product_id": "p1", "price": 1, "currency": "euros", "y": 1, " y": 2, "metadata": {" y ": 0, "z": null}, "z": 1}]}', 'orders_as', 'ecommerce');

-- type: what Braze knows
SELECT type, track('Product Viewed', jsonb_build_object('product_id', 'p1', 'price', 1, 'type', type::jsonb), 'orders_as', 'ecommerce')
FROM unnest(ARRAY['"price_drop"', '["back_in_stock", " price_drop "]', '["price_drop", "new"]', '"new"', '[]', '["new", 1]', '5', '{"price_drop": true}', 'null']) type;

-- blanks around a name, and doubled inside
SELECT name, payload->>'name'
FROM unnest(ARRAY['Order Completed ', ' order  completed', E'Order\tCompleted', 'Order__Completed', 'Product  Viewed', ' Cart Updated', 'Order-Completed', 'O rder Completed']) name,
	 braze_map(jsonb_build_object('type', 'track', 'userId', 'u1', 'event', name, 'properties',
		'{"product_id": "p1", "price": 1, "cart_id": "c", "order_id": "o", "products": [{"sku": "s", "price": 1}]}'::jsonb), 'map_case');
SELECT track(' Order  Refunded ', '{"order_id": "o1"}', 'orders_as', 'ecommerce');

-- metadata: property names that Braze keeps elsewhere may stand in it
SELECT track('Product Viewed', '{"product_id": "p1", "price": 1, "time": "now", "n": null, "$x": 1, "o": {"a": null, "b": 1}}', 'orders_as', 'ecommerce');
-- an event that is too large gives up metadata: the products', then the call's
-- largest
SELECT left(line, 200) FROM track('Product Viewed', jsonb_build_object('product_id', 'p1', 'price', 1, 'big', repeat('x', 102000), 'small', 1), 'orders_as', 'ecommerce') line;
SELECT left(line, 300) FROM track('Cart Updated', jsonb_build_object('cart_id', 'c1', 'note', 'n', 'products',
	(SELECT jsonb_agg(jsonb_build_object('product_id', 'p' || i, 'price', i, 'text', repeat('x', 40000))) FROM generate_series(1, 3) i)), 'orders_as', 'ecommerce') line;
SELECT left(line, 120) FROM track('Cart Updated', jsonb_build_object('cart_id', 'c1', 'products',
	(SELECT jsonb_agg(jsonb_build_object('product_id', 'p' || i, 'price', i)) FROM generate_series(1, 3000) i)), 'orders_as', 'ecommerce') line;

-- a value that another of its name hides has a note, unless they are equal
SELECT track('Order Completed', '{"order_id": "o", "a": 1, "b": 2, "c": [1, {"d": 2}], "metadata": {"a": 1, "b": 3, "c": [1, {"d": 2}]}, "products": [{"id": "p", "price": 1}]}', 'orders_as', 'ecommerce');
-- the note on what is missing says why that is missing
SELECT track('Order Completed', '{"order_id": "o", "currency": "XYZ", "products": [{"id": "p", "price": 1, "quantity": 1.5}]}', 'orders_as', 'ecommerce');
SELECT track('Product Added', '{"cart_id": "c", "product_id": "p", "price": "1.10", "quantity": 0.5, "currency": "XYZ"}', 'orders_as', 'ecommerce');

ROLLBACK;
