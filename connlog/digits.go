package connlog

import "slices"

// appendDigits is strconv.AppendUint, but writes in place.
func appendDigits(dst []byte, n uint64) []byte {
	end := len(dst) + digitsOf(n)
	dst = slices.Grow(dst, maxDigits)[:end]
	for n >= 100 {
		pair := n % 100 * 2
		dst[end-2], dst[end-1] = pairs[pair], pairs[pair+1]
		end -= 2
		n /= 100
	}
	if n >= 10 {
		end--
		dst[end] = pairs[n*2+1]
		n /= 10
	}
	dst[end-1] = byte('0' + n)
	return dst
}

const maxDigits = 20

// digitsOf is the number of n's digits.
func digitsOf(n uint64) int {
	count := 1
	for ; n >= 10000; n /= 10000 {
		count += 4
	}
	switch {
	case n >= 1000:
		return count + 3
	case n >= 100:
		return count + 2
	case n >= 10:
		return count + 1
	}
	return count
}

// pairs are the numbers up to 99.
const pairs = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"
