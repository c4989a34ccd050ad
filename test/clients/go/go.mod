module vkindex/clients

go 1.23

require (
	github.com/jackc/pgx/v5 v5.7.6
	github.com/pgvector/pgvector-go v0.3.0
)
