package main

import "testing"

func TestRanges(t *testing.T) {
	tests := []struct {
		numbers []int
		want    string
	}{
		{nil, ""},
		{[]int{3}, "3"},
		{[]int{3, 5}, "3, 5"},
		{[]int{3, 4}, "3-4"},
		{[]int{1, 3, 4, 5, 9, 10, 12}, "1, 3-5, 9-10, 12"},
	}
	for _, tt := range tests {
		if got := ranges(tt.numbers); got != tt.want {
			t.Errorf("ranges(%v) = %q, want %q", tt.numbers, got, tt.want)
		}
	}
}
