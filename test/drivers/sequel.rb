# packages: ruby-sequel ruby-pg
require 'json'
require 'sequel'

user_ids = [42, "7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90", "it's u1"]
properties = { title: "Ro\u00e4r", plays: 3, tags: ["a", 'b "c"'], at: nil }

DB = Sequel.connect(adapter: 'postgres', host: ENV['PGHOST'], port: ENV['PGPORT'], database: ENV['PGDATABASE'],
                    user: ENV['PGUSER'], password: ENV['PGPASSWORD'])
user_ids.each do |user_id|
  # from doc/clients.md
end
DB.disconnect
