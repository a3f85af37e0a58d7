module encoders/klauspost

go 1.21

require (
	github.com/klauspost/compress v1.13.6
	github.com/klauspost/pgzip v1.2.5
)
