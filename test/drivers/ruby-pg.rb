# packages: ruby-pg
require 'json'
require 'pg'

user_ids = [42, "7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90", "it's u1"]
properties = { title: "Ro\u00e4r", plays: 3, tags: ["a", 'b "c"'], at: nil }

connection = PG.connect
user_ids.each do |user_id|
  # from doc/clients.md
end
connection.close
