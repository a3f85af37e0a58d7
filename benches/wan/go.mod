module wan

go 1.25
