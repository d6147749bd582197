<?php
// packages: php-cli php-pgsql
$properties = ["title" => "Ro\u{e4}r", "plays" => 3, "tags" => ["a", 'b "c"'], "at" => null];
$pdo = new PDO("pgsql:", getenv("PGUSER"), getenv("PGPASSWORD"), [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);

foreach ([42, "7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90", "it's u1"] as $user_id) {
	// from doc/clients.md
}
