# frozen_string_literal: true

module Hooke
  VERSION = "0.1.0"
end
