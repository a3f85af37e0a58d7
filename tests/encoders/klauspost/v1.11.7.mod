module encoders/klauspost

go 1.21

require (
	github.com/klauspost/compress v1.11.7
	github.com/klauspost/pgzip v1.2.5
)
