module encoders/klauspost

go 1.21

require (
	github.com/klauspost/compress v1.12.1
	github.com/klauspost/pgzip v1.2.5
)
