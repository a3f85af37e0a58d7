module encoders/klauspost

go 1.23

require (
	github.com/klauspost/compress v1.18.2
	github.com/klauspost/pgzip v1.2.6
)
